#include "tests/meta/deployment.h"

#include "meta/leveldb_engine.h"
#include "meta/local_service_impl.h"
#include "meta/schema.h"

namespace pxfs::meta {

NameHash NameHashOf(Shape shape) {
  if (shape != Shape::kColliding) return {};
  return [](std::string_view name) { return Hash64(name, 0) % 3; };
}

namespace {

Result<std::unique_ptr<MetadataService>> OpenColliding(const std::string& directory, bool create) {
  PXFS_TRY(MakeDirectories(directory));
  PXFS_ASSIGN(auto engine, OpenLevelDb(directory + "/leveldb", create));
  if (create) PXFS_TRY(FormatStore(*engine, {}));
  ServiceOptions options;
  options.store.name_hash = NameHashOf(Shape::kColliding);
  options.session_grace = std::chrono::seconds(60);
  return LocalService::Open(std::move(engine), std::move(options), {});
}

}  // namespace

Result<std::unique_ptr<Deployment>> Deployment::Create(Shape shape, const std::string& directory) {
  std::unique_ptr<Deployment> deployment(new Deployment(shape, directory));
  PXFS_TRY(deployment->StartStore(/*create=*/true));
  if (shape == Shape::kRemote) {
    PXFS_ASSIGN(deployment->client_, ConnectRemoteService({deployment->socket_path()}));
  }
  return deployment;
}

Status Deployment::StartStore(bool create) {
  if (shape_ == Shape::kColliding) {
    PXFS_ASSIGN(store_, OpenColliding(store_directory(), create));
    return {};
  }
  LocalOptions options;
  options.directory = store_directory();
  options.create = create;
  options.session_grace = std::chrono::seconds(60);
  PXFS_ASSIGN(store_, OpenLocalService(options));
  if (shape_ == Shape::kLocal) return {};
  PXFS_ASSIGN(server_, rpc::ListenUnix(socket_path()));
  RegisterMetadataService(*server_, *store_);
  return server_->Start();
}

Status Deployment::Start() { return StartStore(/*create=*/false); }

void Deployment::Stop() {
  server_.reset();
  store_.reset();
}

}  // namespace pxfs::meta
