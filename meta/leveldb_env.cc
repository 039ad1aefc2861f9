#include "meta/leveldb_env.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/unique_fd.h"

namespace pxfs::meta {
namespace {

leveldb::Status SyncPath(const std::string& path, int flags, int (*sync)(int)) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd) return leveldb::Status::IOError(path, std::strerror(errno));
  if (sync(fd.get()) != 0) return leveldb::Status::IOError(path, std::strerror(errno));
  return leveldb::Status::OK();
}

class Disk final : public DiskEnv {
 public:
  Disk() : DiskEnv(leveldb::Env::Default()) {}
  leveldb::Status SyncFile(const std::string& path) override {
    return SyncPath(path, O_RDONLY, ::fdatasync);
  }
  leveldb::Status SyncDirectory(const std::string& path) override {
    return SyncPath(path, O_RDONLY | O_DIRECTORY, ::fsync);
  }
};

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
bool IsLog(const std::string& path) { return path.ends_with(".log"); }

}  // namespace

DiskEnv::~DiskEnv() = default;

DiskEnv* RealDisk() {
  static DiskEnv* const disk = new Disk;
  return disk;
}

// A file that LevelDB writes. Used by one thread at a time, apart from SyncIfWritten: LevelDB
// writes no log while it makes a new one.
class OrderedEnv::File final : public leveldb::WritableFile {
 public:
  File(OrderedEnv& env, std::string path, leveldb::WritableFile* file)
      : env_(env), path_(std::move(path)), file_(file) {}
  ~File() override {
    std::lock_guard lock(env_.mutex_);
    env_.logs_.erase(this);
  }

  leveldb::Status Append(const leveldb::Slice& data) override {
    if (leveldb::Status failed = env_.Failure(); !failed.ok()) return failed;
    written_ = true;
    return file_->Append(data);
  }
  leveldb::Status Close() override { return file_->Close(); }
  leveldb::Status Flush() override { return file_->Flush(); }
  leveldb::Status Sync() override {
    if (leveldb::Status failed = env_.Failure(); !failed.ok()) return failed;
    leveldb::Status status = env_.SyncNames(path_);
    if (status.ok()) status = env_.Noted(file_->Sync());
    if (status.ok()) written_ = false;
    return status;
  }
  leveldb::Status SyncIfWritten() { return written_ ? Sync() : leveldb::Status::OK(); }

 private:
  OrderedEnv& env_;
  const std::string path_;
  const std::unique_ptr<leveldb::WritableFile> file_;
  bool written_ = false;  // since the last sync
};

OrderedEnv::~OrderedEnv() = default;

leveldb::Status OrderedEnv::Failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

leveldb::Status OrderedEnv::Noted(leveldb::Status status) {
  if (status.ok()) return status;
  std::lock_guard lock(mutex_);
  if (failure_.ok()) failure_ = status;
  return status;
}

void OrderedEnv::NamesChanged(const std::string& path) {
  std::lock_guard lock(mutex_);
  ++names_[DirectoryOf(path)].changes;
}

leveldb::Status OrderedEnv::SyncNames(const std::string& path) {
  const std::string directory = DirectoryOf(path);
  uint64_t changes = 0;
  {
    std::lock_guard lock(mutex_);
    const Names& names = names_[directory];
    if (names.durable == names.changes) return leveldb::Status::OK();
    changes = names.changes;
  }
  leveldb::Status status = Noted(disk_.SyncDirectory(directory));
  std::lock_guard lock(mutex_);
  Names& names = names_[directory];
  if (status.ok()) names.durable = std::max(names.durable, changes);
  return status;
}

leveldb::Status OrderedEnv::SyncOpenLogs() {
  std::set<File*> logs;
  {
    std::lock_guard lock(mutex_);
    logs = logs_;
  }
  for (File* log : logs)
    if (leveldb::Status status = log->SyncIfWritten(); !status.ok()) return status;
  return leveldb::Status::OK();
}

leveldb::Status OrderedEnv::SyncLogs() {
  std::string path;
  {
    std::lock_guard lock(mutex_);
    if (!failure_.ok()) return failure_;
    path = newest_log_;
  }
  // Earlier ones are durable since it exists.
  if (path.empty()) return leveldb::Status::OK();
  if (leveldb::Status status = SyncNames(path); !status.ok()) return status;
  leveldb::Status status = disk_.SyncFile(path);
  // Or all of it is in tables by now, and they are durable.
  if (!status.ok() && !disk_.FileExists(path)) return Failure();
  return Noted(status);
}

leveldb::Status OrderedEnv::Wrap(const std::string& path, leveldb::WritableFile** file) {
  NamesChanged(path);
  auto wrapped = std::make_unique<File>(*this, path, *file);
  if (IsLog(path)) {
    std::lock_guard lock(mutex_);
    logs_.insert(wrapped.get());
    newest_log_ = path;
  }
  *file = wrapped.release();
  return leveldb::Status::OK();
}

leveldb::Status OrderedEnv::NewWritableFile(const std::string& path, leveldb::WritableFile** file) {
  *file = nullptr;
  if (IsLog(path))
    if (leveldb::Status status = SyncOpenLogs(); !status.ok()) return status;
  if (leveldb::Status status = disk_.NewWritableFile(path, file); !status.ok()) return status;
  return Wrap(path, file);
}

leveldb::Status OrderedEnv::NewAppendableFile(const std::string& path,
                                              leveldb::WritableFile** file) {
  if (leveldb::Status status = disk_.NewAppendableFile(path, file); !status.ok()) return status;
  return Wrap(path, file);
}

leveldb::Status OrderedEnv::RemoveFile(const std::string& path) {
  leveldb::Status status = disk_.RemoveFile(path);
  NamesChanged(path);
  return status;
}

leveldb::Status OrderedEnv::RenameFile(const std::string& from, const std::string& to) {
  if (leveldb::Status status = disk_.RenameFile(from, to); !status.ok()) return status;
  NamesChanged(to);
  return SyncNames(to);
}

}  // namespace pxfs::meta
