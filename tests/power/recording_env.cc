#include "tests/power/recording_env.h"

#include <algorithm>
#include <cstring>

namespace pxfs::power {
namespace {

using Kind = DiskEvent::Kind;
constexpr size_t kSectorBytes = 512;

leveldb::Status NoSuchFile(const std::string& path) {
  return leveldb::Status::NotFound(path, "no such file");
}

class Lock final : public leveldb::FileLock {};

std::string Torn(const std::string& content, size_t synced, std::mt19937_64& random) {
  const size_t rest = content.size() - synced;
  if (rest == 0) return content;
  const size_t part = synced + random() % (rest + 1);
  std::string left = content.substr(0, part);
  switch (random() % 4) {
    case 0:
      return content.substr(0, synced);
    case 1:
      return left;
    case 2:  // its size is there, and its end is not
      left.resize(content.size());
      return left;
    default:  // any of its sectors
      left = content;
      for (size_t begin = synced; begin < content.size();) {
        const size_t end = std::min(content.size(), (begin / kSectorBytes + 1) * kSectorBytes);
        if (random() % 2 == 0)
          std::fill(left.begin() + static_cast<std::ptrdiff_t>(begin),
                    left.begin() + static_cast<std::ptrdiff_t>(end), '\0');
        begin = end;
      }
      return left;
  }
}

}  // namespace

struct RecordingEnv::File {
  uint64_t number = 0;
  std::string content;
};

class RecordingEnv::Reader final : public leveldb::SequentialFile,
                                   public leveldb::RandomAccessFile {
 public:
  Reader(RecordingEnv& env, std::shared_ptr<File> file) : env_(env), file_(std::move(file)) {}

  leveldb::Status Read(size_t size, leveldb::Slice* result, char* scratch) override {
    leveldb::Status status = Read(position_, size, result, scratch);
    position_ += result->size();
    return status;
  }
  leveldb::Status Skip(uint64_t size) override {
    position_ += size;
    return leveldb::Status::OK();
  }
  leveldb::Status Read(uint64_t offset, size_t size, leveldb::Slice* result,
                       char* scratch) const override {
    std::lock_guard lock(env_.mutex_);
    const std::string& content = file_->content;
    const size_t begin = std::min<uint64_t>(offset, content.size());
    const size_t count = std::min(size, content.size() - begin);
    std::memcpy(scratch, content.data() + begin, count);
    *result = leveldb::Slice(scratch, count);
    return leveldb::Status::OK();
  }

 private:
  RecordingEnv& env_;
  const std::shared_ptr<File> file_;
  uint64_t position_ = 0;
};

class RecordingEnv::Writer final : public leveldb::WritableFile {
 public:
  Writer(RecordingEnv& env, std::shared_ptr<File> file) : env_(env), file_(std::move(file)) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    std::lock_guard lock(env_.mutex_);
    file_->content.append(data.data(), data.size());
    env_.events_.push_back({Kind::kAppend, file_->number, {}, data.ToString()});
    return leveldb::Status::OK();
  }
  leveldb::Status Close() override { return leveldb::Status::OK(); }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override {
    std::lock_guard lock(env_.mutex_);
    env_.events_.push_back({Kind::kSyncFile, file_->number});
    return leveldb::Status::OK();
  }

 private:
  RecordingEnv& env_;
  const std::shared_ptr<File> file_;
};

RecordingEnv::RecordingEnv(const DiskImage& image) : DiskEnv(leveldb::Env::Default()) {
  for (const auto& [path, content] : image)
    files_[path] = std::make_shared<File>(File{next_file_++, content});
}

RecordingEnv::~RecordingEnv() = default;

void RecordingEnv::Mark(int64_t number) {
  std::lock_guard lock(mutex_);
  events_.push_back({Kind::kMark, 0, {}, {}, number});
}

std::shared_ptr<RecordingEnv::File> RecordingEnv::Find(const std::string& path) {
  std::lock_guard lock(mutex_);
  const auto it = files_.find(path);
  return it == files_.end() ? nullptr : it->second;
}

leveldb::Status RecordingEnv::NewSequentialFile(const std::string& path,
                                                leveldb::SequentialFile** file) {
  auto found = Find(path);
  *file = found ? new Reader(*this, found) : nullptr;
  return found ? leveldb::Status::OK() : NoSuchFile(path);
}

leveldb::Status RecordingEnv::NewRandomAccessFile(const std::string& path,
                                                  leveldb::RandomAccessFile** file) {
  auto found = Find(path);
  *file = found ? new Reader(*this, found) : nullptr;
  return found ? leveldb::Status::OK() : NoSuchFile(path);
}

leveldb::Status RecordingEnv::NewWritableFile(const std::string& path,
                                              leveldb::WritableFile** file) {
  std::lock_guard lock(mutex_);
  auto made = std::make_shared<File>(File{next_file_++, {}});
  files_[path] = made;
  events_.push_back({Kind::kCreate, made->number, path});
  *file = new Writer(*this, std::move(made));
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::NewAppendableFile(const std::string& path,
                                                leveldb::WritableFile** file) {
  auto found = Find(path);
  if (!found) return NewWritableFile(path, file);
  *file = new Writer(*this, std::move(found));
  return leveldb::Status::OK();
}

bool RecordingEnv::FileExists(const std::string& path) { return Find(path) != nullptr; }

leveldb::Status RecordingEnv::GetChildren(const std::string& directory,
                                          std::vector<std::string>* names) {
  std::lock_guard lock(mutex_);
  names->clear();
  for (const auto& [path, file] : files_)
    if (path.starts_with(directory + "/")) names->push_back(path.substr(directory.size() + 1));
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::RemoveFile(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (files_.erase(path) == 0) return NoSuchFile(path);
  events_.push_back({Kind::kRemove, 0, path});
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::CreateDir(const std::string&) { return leveldb::Status::OK(); }
leveldb::Status RecordingEnv::RemoveDir(const std::string&) { return leveldb::Status::OK(); }

leveldb::Status RecordingEnv::GetFileSize(const std::string& path, uint64_t* size) {
  std::lock_guard lock(mutex_);
  const auto it = files_.find(path);
  if (it == files_.end()) return NoSuchFile(path);
  *size = it->second->content.size();
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::RenameFile(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  const auto it = files_.find(from);
  if (it == files_.end()) return NoSuchFile(from);
  files_[to] = it->second;
  files_.erase(from);
  events_.push_back({Kind::kRename, 0, from, to});
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::LockFile(const std::string&, leveldb::FileLock** lock) {
  *lock = new Lock;
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::UnlockFile(leveldb::FileLock* lock) {
  delete lock;
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::NewLogger(const std::string& path, leveldb::Logger** logger) {
  *logger = nullptr;
  return leveldb::Status::NotSupported(path);
}

leveldb::Status RecordingEnv::SyncFile(const std::string& path) {
  std::lock_guard lock(mutex_);
  const auto it = files_.find(path);
  if (it == files_.end()) return NoSuchFile(path);
  events_.push_back({Kind::kSyncFile, it->second->number});
  return leveldb::Status::OK();
}

leveldb::Status RecordingEnv::SyncDirectory(const std::string&) {
  std::lock_guard lock(mutex_);
  events_.push_back({Kind::kSyncDirectory});
  return leveldb::Status::OK();
}

// No write to it fails, so nothing is ever taken back.
leveldb::Status RecordingEnv::Truncate(const std::string& path, uint64_t) {
  return leveldb::Status::NotSupported(path, "truncate");
}
leveldb::Status RecordingEnv::Reserve(const std::string& path, uint64_t) {
  return leveldb::Status::NotSupported(path, "reserve");
}

std::vector<size_t> CutPoints(const std::vector<DiskEvent>& events, size_t count,
                              std::mt19937_64& random) {
  const auto first = std::find_if(events.begin(), events.end(), [](const DiskEvent& event) {
    return event.kind == DiskEvent::Kind::kMark && event.number < 0;
  });
  if (first == events.end()) return {};
  const auto start = static_cast<size_t>(first - events.begin()) + 1;
  std::vector<size_t> points(count);
  for (size_t& point : points) point = start + random() % (events.size() + 1 - start);
  std::sort(points.begin(), points.end());
  return points;
}

DiskReplay::DiskReplay(const DiskImage& image) {
  // Numbered as RecordingEnv does.
  uint64_t number = 1;
  for (const auto& [path, content] : image) {
    files_[number] = {content, content.size()};
    durable_[path] = number++;
  }
}

void DiskReplay::ApplyNames(const DiskEvent& event, Names* names) {
  switch (event.kind) {
    case Kind::kCreate:
      (*names)[event.path] = event.file;
      break;
    case Kind::kRename: {
      (*names)[event.data] = event.file;
      const auto it = names->find(event.path);
      if (it != names->end() && it->second == event.file) names->erase(it);
      break;
    }
    case Kind::kRemove:
      names->erase(event.path);
      break;
    default:
      break;
  }
}

void DiskReplay::Apply(const DiskEvent& event) {
  switch (event.kind) {
    case Kind::kCreate:
      files_[event.file] = {};
      changes_.push_back(event);
      break;
    case Kind::kAppend:
      files_[event.file].content += event.data;
      break;
    case Kind::kSyncFile:
      files_[event.file].synced = files_[event.file].content.size();
      break;
    case Kind::kRename: {
      // Of which file, so that it can survive by itself.
      Names now = durable_;
      for (const DiskEvent& change : changes_) ApplyNames(change, &now);
      changes_.push_back(event);
      changes_.back().file = now.at(event.path);
      break;
    }
    case Kind::kRemove:
      changes_.push_back(event);
      break;
    case Kind::kSyncDirectory:
      for (const DiskEvent& change : changes_) ApplyNames(change, &durable_);
      changes_.clear();
      break;
    case Kind::kMark:
      break;
  }
}

DiskImage DiskReplay::AfterPowerCut(std::mt19937_64& random) const {
  Names names = durable_;
  const bool in_order = random() % 2 == 0;
  const size_t first = random() % (changes_.size() + 1);
  for (size_t i = 0; i < changes_.size(); ++i)
    if (in_order ? i < first : random() % 2 == 0) ApplyNames(changes_[i], &names);
  DiskImage image;
  for (const auto& [path, number] : names) {
    const File& file = files_.at(number);
    image[path] = Torn(file.content, file.synced, random);
  }
  return image;
}

}  // namespace pxfs::power
