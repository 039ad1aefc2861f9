#include "meta/leveldb_engine.h"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <mutex>
#include <utility>

#include "base/logging.h"
#include "meta/ballast.h"
#include "meta/group_sync.h"
#include "meta/leveldb_env.h"
#include "meta/log_tail.h"
#include "meta/striped_versions.h"

namespace pxfs::meta {
namespace {

leveldb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view ToView(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

tl::unexpected<Error> FailWith(const leveldb::Status& status, const std::string& directory) {
  const std::string message = "metadata store " + directory + ": " + status.ToString();
  if (status.IsCorruption())
    return Fail(Code::kCorruption,
                message + "; keep a copy of the directory and restore a dump (pxfs load)");
  // A full disk must not look like a broken one.
  if (IsNoSpace(status)) return Fail(Code::kNoSpace, message);
  return Fail(Code::kIo, message);
}

class LevelDbEngine final : public KvEngine {
 public:
  LevelDbEngine(std::string directory, DiskEnv& disk, std::unique_ptr<Ballast> ballast,
                std::unique_ptr<OrderedEnv> env,
                std::unique_ptr<const leveldb::FilterPolicy> filter,
                std::unique_ptr<leveldb::Cache> blocks, std::unique_ptr<leveldb::DB> db)
      : directory_(std::move(directory)),
        disk_(disk),
        ballast_(std::move(ballast)),
        env_(std::move(env)),
        filter_(std::move(filter)),
        blocks_(std::move(blocks)),
        db_(std::move(db)) {}

  // Whatever fails here, the next one to open the store finds what the last sync has made durable.
  ~LevelDbEngine() override {
    leveldb::Status status = env_->SyncLogs();
    db_.reset();
    if (status.ok()) status = NoteClosed(disk_, directory_);
    if (!status.ok()) log::warn("metadata store {}: closing it: {}", directory_, status.ToString());
  }

  uint64_t Version(std::string_view key) const override { return versions_.Of(key); }
  bool Settled(uint64_t version) const override { return StripedVersions::Settled(version); }

  Result<bool> Get(std::string_view key, std::string* value) const override {
    const leveldb::Status status = db_->Get({}, ToSlice(key), value);
    if (status.ok()) return true;
    if (status.IsNotFound()) return false;
    return FailWith(status, directory_);
  }

  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    std::unique_ptr<leveldb::Iterator> it(db_->NewIterator({}));
    for (it->Seek(ToSlice(begin)); it->Valid() && ToView(it->key()) < end; it->Next())
      if (!visit(ToView(it->key()), ToView(it->value()))) break;
    if (!it->status().ok()) return FailWith(it->status(), directory_);
    return {};
  }

  Status Commit(const std::vector<KvRead>& reads, const std::vector<KvWrite>& writes,
                const std::function<void()>& applied) override {
    leveldb::WriteBatch batch;
    for (const KvWrite& write : writes) {
      if (write.erase)
        batch.Delete(write.key);
      else
        batch.Put(write.key, write.value);
    }
    std::lock_guard lock(commit_mutex_);
    if (!versions_.Unchanged(reads)) return Fail(Code::kConflict);
    versions_.Begin(writes);
    const leveldb::Status status = db_->Write({}, &batch);
    if (status.ok()) applied();
    versions_.End(writes);
    if (!status.ok()) return FailWith(status, directory_);
    return {};
  }

  Status Sync() override { return group_sync_.Run(); }

  Status RoomToGrow() override {
    if (ballast_ == nullptr || ballast_->Restore()) return {};
    return Fail(Code::kNoSpace, "the disk of the metadata store " + directory_ +
                                    " is full; remove files, or make room on it");
  }

 private:
  Status SyncLogs() {
    const leveldb::Status status = env_->SyncLogs();
    if (!status.ok()) return FailWith(status, directory_);
    return {};
  }

  const std::string directory_;
  DiskEnv& disk_;
  // In this order: the database uses the others to its end.
  const std::unique_ptr<Ballast> ballast_;
  const std::unique_ptr<OrderedEnv> env_;
  const std::unique_ptr<const leveldb::FilterPolicy> filter_;
  const std::unique_ptr<leveldb::Cache> blocks_;
  std::unique_ptr<leveldb::DB> db_;
  GroupSync group_sync_{[this] { return SyncLogs(); }};
  StripedVersions versions_;
  std::mutex commit_mutex_;  // one commit at a time: validation, write and publication
};

}  // namespace

Result<std::unique_ptr<KvEngine>> OpenLevelDb(const std::string& directory,
                                              const LevelDbOptions& options) {
  DiskEnv* const disk = options.disk != nullptr ? options.disk : RealDisk();
  // Before anything that needs room. A disk of a test's own is not the machine's.
  std::unique_ptr<Ballast> ballast;
  if (options.create) static_cast<void>(disk->CreateDir(directory));  // LevelDB says what is wrong
  if (options.disk == nullptr && (options.create || disk->FileExists(directory + "/CURRENT")))
    ballast = std::make_unique<Ballast>(directory + "/ballast");
  const leveldb::Status cut =
      WithRoom(ballast.get(), [&](uint64_t) { return CutTornTails(*disk, directory); });
  if (!cut.ok()) return FailWith(cut, directory);
  auto env = std::make_unique<OrderedEnv>(disk, ballast.get());
  std::unique_ptr<const leveldb::FilterPolicy> filter(leveldb::NewBloomFilterPolicy(10));
  std::unique_ptr<leveldb::Cache> blocks(leveldb::NewLRUCache(64 << 20));
  leveldb::Options leveldb_options;
  leveldb_options.env = env.get();
  leveldb_options.create_if_missing = options.create;
  leveldb_options.paranoid_checks = true;
  leveldb_options.write_buffer_size = options.write_buffer_bytes;
  leveldb_options.max_file_size = 8 << 20;
  leveldb_options.max_open_files = 500;
  leveldb_options.filter_policy = filter.get();
  leveldb_options.block_cache = blocks.get();

  leveldb::DB* db = nullptr;
  const leveldb::Status status = leveldb::DB::Open(leveldb_options, directory, &db);
  if (status.IsInvalidArgument())
    return Fail(Code::kNotFound,
                "no metadata store: " + directory + "; restore a dump (pxfs load)");
  if (!status.ok()) return FailWith(status, directory);
  return std::make_unique<LevelDbEngine>(directory, *disk, std::move(ballast), std::move(env),
                                         std::move(filter), std::move(blocks),
                                         std::unique_ptr<leveldb::DB>(db));
}

}  // namespace pxfs::meta
