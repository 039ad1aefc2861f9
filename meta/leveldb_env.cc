#include "meta/leveldb_env.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/logging.h"
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
  leveldb::Status Truncate(const std::string& path, uint64_t size) override {
    if (::truncate(path.c_str(), static_cast<off_t>(size)) != 0)
      return leveldb::Status::IOError(path, std::strerror(errno));
    return leveldb::Status::OK();
  }
  leveldb::Status Reserve(const std::string& path, uint64_t bytes) override {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const off_t end = fd ? ::lseek(fd.get(), 0, SEEK_END) : -1;
    if (end < 0 || ::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, end, static_cast<off_t>(bytes)) != 0)
      return leveldb::Status::IOError(path, std::strerror(errno));
    return leveldb::Status::OK();
  }
};

// What LevelDB's own files hold back too.
constexpr size_t kBufferBytes = 64 << 10;

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
bool IsLog(const std::string& path) { return path.ends_with(".log"); }

}  // namespace

DiskEnv::~DiskEnv() = default;

bool IsNoSpace(const leveldb::Status& status) {
  return status.IsIOError() && status.ToString().find(std::strerror(ENOSPC)) != std::string::npos;
}

DiskEnv* RealDisk() {
  static DiskEnv* const disk = new Disk;
  return disk;
}

// A file that LevelDB writes. Used by one thread at a time, apart from SyncIfWritten: LevelDB
// writes no log while it makes a new one.
class OrderedEnv::File final : public leveldb::WritableFile {
 public:
  // `size` of the file so far.
  File(OrderedEnv& env, std::string path, leveldb::WritableFile* file, uint64_t size)
      : env_(env), path_(std::move(path)), file_(file), whole_bytes_(size) {}
  ~File() override {
    std::lock_guard lock(env_.mutex_);
    env_.logs_.erase(this);
  }

  leveldb::Status Append(const leveldb::Slice& data) override {
    if (leveldb::Status failed = env_.Failure(); !failed.ok()) return failed;
    written_ = true;
    buffer_.append(data.data(), data.size());
    return buffer_.size() < kBufferBytes ? leveldb::Status::OK() : Flush();
  }
  leveldb::Status Close() override {
    leveldb::Status status = Flush();
    if (status.ok() && reserved_) status = env_.disk_.Truncate(path_, whole_bytes_);
    const leveldb::Status closed = file_->Close();
    return status.ok() ? closed : status;
  }
  leveldb::Status Flush() override {
    if (buffer_.empty()) return leveldb::Status::OK();
    if (leveldb::Status failed = env_.Failure(); !failed.ok()) return failed;
    leveldb::Status status = WithRoom(env_.ballast_, [&](uint64_t given) {
      leveldb::Status done = given > 0 ? TakeRoom(given) : leveldb::Status::OK();
      if (done.ok()) done = file_->Append(buffer_);
      return done.ok() ? file_->Flush() : done;
    });
    if (status.ok()) {
      whole_bytes_ += buffer_.size();
      buffer_.clear();
      return status;
    }
    // What was acknowledged before ends the file.
    if (const leveldb::Status cut = Rewind(); !cut.ok())
      log::error("metadata store: {}", cut.ToString());
    return env_.Noted(status);
  }
  leveldb::Status Sync() override {
    if (leveldb::Status failed = env_.Failure(); !failed.ok()) return failed;
    leveldb::Status status = Flush();
    if (status.ok()) status = env_.SyncNames(path_);
    if (status.ok()) status = env_.Noted(file_->Sync());
    if (status.ok()) written_ = false;
    return status;
  }
  leveldb::Status SyncIfWritten() { return written_ ? Sync() : leveldb::Status::OK(); }

 private:
  // For the next try of a failed write, and for what comes after it: somebody else may be filling
  // up the disk.
  leveldb::Status TakeRoom(uint64_t bytes) {
    reserved_ = true;
    if (leveldb::Status status = Rewind(); !status.ok()) return status;
    return env_.disk_.Reserve(path_, std::max<uint64_t>(bytes, buffer_.size()));
  }
  // Cuts off what a failed write left of the buffer.
  leveldb::Status Rewind() {
    if (leveldb::Status status = env_.disk_.Truncate(path_, whole_bytes_); !status.ok())
      return status;
    leveldb::WritableFile* file = nullptr;
    if (leveldb::Status status = env_.disk_.NewAppendableFile(path_, &file); !status.ok())
      return status;
    file_.reset(file);
    return leveldb::Status::OK();
  }

  OrderedEnv& env_;
  const std::string path_;
  std::unique_ptr<leveldb::WritableFile> file_;
  uint64_t whole_bytes_;  // of the file; the buffer comes behind them
  std::string buffer_;
  bool reserved_ = false;  // room behind the end
  bool written_ = false;   // since the last sync
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

leveldb::Status OrderedEnv::Wrap(const std::string& path, uint64_t size,
                                 leveldb::WritableFile** file) {
  NamesChanged(path);
  auto wrapped = std::make_unique<File>(*this, path, *file, size);
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
  leveldb::Status status =
      WithRoom(ballast_, [&](uint64_t) { return disk_.NewWritableFile(path, file); });
  return status.ok() ? Wrap(path, 0, file) : status;
}

leveldb::Status OrderedEnv::NewAppendableFile(const std::string& path,
                                              leveldb::WritableFile** file) {
  uint64_t size = 0;
  if (disk_.FileExists(path))
    if (leveldb::Status status = disk_.GetFileSize(path, &size); !status.ok()) return status;
  leveldb::Status status =
      WithRoom(ballast_, [&](uint64_t) { return disk_.NewAppendableFile(path, file); });
  return status.ok() ? Wrap(path, size, file) : status;
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
