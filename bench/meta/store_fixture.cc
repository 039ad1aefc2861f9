#include "bench/meta/store_fixture.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/bytes.h"
#include "meta/local_service.h"

namespace pxfs::bench {

TemporaryDirectory::TemporaryDirectory() {
  const char* parent = std::getenv("TMPDIR");
  path_ = std::string(parent ? parent : "/tmp") + "/pxfs-meta-bench-XXXXXX";
  if (!mkdtemp(path_.data())) {
    std::perror(path_.c_str());
    std::exit(1);
  }
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // at worst files stay in the temporary directory
  std::filesystem::remove_all(path_, ignored);
}

Store& Store::Get() {
  static Store store;
  return store;
}

Store::Store() {
  meta::LocalOptions options;
  options.directory = directory_.path() + "/store";
  options.create = true;
  service_ = Must(meta::OpenLocalService(options), "open the store");

  meta::VolumeInfo volume;
  volume.name = "v1";
  volume.uuid = NewUuid();
  volume.path = directory_.path() + "/volume";
  const VolumeId id = Must(service_->AddVolume(volume), "add a volume").id;
  meta::VolumeReport report;
  report.volume = id;
  report.total_bytes = report.free_bytes = 1ull << 40;
  Must(service_->ReportVolume(report), "report the volume");

  meta::SessionSpec spec;
  spec.description = "meta_bench";
  context_.session = Must(service_->OpenSession(spec), "open a session");
  listing_ = NewDirectory();
  for (int i = 0; i < 1000; ++i) CreateFile(listing_, "f" + std::to_string(i));
  files_ = NewDirectory();
  for (int i = 0; i < kFiles; ++i) CreateFile(files_, "f" + std::to_string(i));
}

InodeId Store::NewDirectory() {
  static std::atomic<int> next{0};
  meta::NewNode node;
  node.mode = S_IFDIR | 0755;
  return Must(service_->MakeNode(context_, kRootInode, "d" + std::to_string(next++), node),
              "make a directory")
      .inode;
}

InodeId Store::CreateFile(InodeId directory, const std::string& name) {
  meta::NewNode node;
  node.mode = S_IFREG | 0644;
  const auto location = Must(service_->Create(context_, directory, name, node), "create");
  meta::ContentState content;
  content.atime = content.mtime = content.ctime = location.attr.mtime;
  Must(service_->CloseWrite(context_, location.attr.inode, content), "close");
  return location.attr.inode;
}

void Store::Reclaim() {
  while (true) {
    const auto items =
        Must(service_->WaitReclaimable(1000, std::chrono::milliseconds(0)), "wait for reclaim");
    if (items.empty()) return;
    Must(service_->Reclaimed(items), "reclaim");
  }
}

}  // namespace pxfs::bench
