#include "tests/survive/activities.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "tests/support/process.h"

namespace pxfs::test {
namespace {

Status Wrong(const std::string& what) { return Fail(Code::kCorruption, what); }

class InDirectory : public Activity {
 public:
  explicit InDirectory(std::string directory) : directory_(std::move(directory)) {}
  Status Prepare() override { return MakeDirectories(directory_); }

 protected:
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  Result<UniqueFd> Open(const std::string& name, int flags) const {
    return OpenAt(AT_FDCWD, Path(name), flags, 0644);
  }

  const std::string directory_;
};

class Appender final : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::string name() const override { return "appender"; }

  Status Prepare() override {
    PXFS_TRY(InDirectory::Prepare());
    PXFS_ASSIGN(writer_, Open("log", O_WRONLY | O_CREAT | O_APPEND));
    PXFS_ASSIGN(reader_, Open("log", O_RDONLY));
    return {};
  }
  Status Step() override {
    const std::string line = Line(lines_);
    if (::write(writer_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      return FailErrno(errno, "append");
    std::string seen(line.size() + 1, '\0');
    const ssize_t n =
        ::pread(reader_.get(), seen.data(), seen.size(), static_cast<off_t>(lines_ * line.size()));
    if (n < 0) return FailErrno(errno, "pread");
    seen.resize(static_cast<size_t>(n));
    if (seen != line) return Wrong("line " + std::to_string(lines_) + " reads as '" + seen + "'");
    struct stat st;
    ++lines_;
    if (::fstat(writer_.get(), &st) != 0) return FailErrno(errno, "fstat");
    if (static_cast<uint64_t>(st.st_size) != lines_ * line.size())
      return Wrong("the size is " + std::to_string(st.st_size) + " after " +
                   std::to_string(lines_) + " lines");
    return {};
  }
  Status Finish() override {
    if (::close(writer_.release()) != 0) return FailErrno(errno, "close");
    PXFS_ASSIGN(const std::string all, ReadFile(Path("log")));
    std::string expected;
    for (uint64_t i = 0; i < lines_; ++i) expected += Line(i);
    return all == expected ? Status{} : Wrong("the file does not hold what was appended");
  }

 private:
  static std::string Line(uint64_t number) {
    std::string digits = std::to_string(number);
    return std::string(9 - digits.size(), '0') + digits + "\n";
  }

  UniqueFd writer_, reader_;
  uint64_t lines_ = 0;
};

class Mapper final : public InDirectory {
 public:
  using InDirectory::InDirectory;
  ~Mapper() override {
    if (written_) ::munmap(written_, kBytes);
    if (read_) ::munmap(const_cast<uint64_t*>(read_), kBytes);
  }
  std::string name() const override { return "mapper"; }

  Status Prepare() override {
    PXFS_TRY(InDirectory::Prepare());
    PXFS_ASSIGN(fd_, Open("map", O_RDWR | O_CREAT));
    if (::ftruncate(fd_.get(), kBytes) != 0) return FailErrno(errno, "ftruncate");
    void* written = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (written == MAP_FAILED) return FailErrno(errno, "mmap");
    written_ = static_cast<uint64_t*>(written);
    PXFS_ASSIGN(const UniqueFd reader, Open("map", O_RDONLY));
    void* read = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, reader.get(), 0);
    if (read == MAP_FAILED) return FailErrno(errno, "mmap for reading");
    read_ = static_cast<const uint64_t*>(read);
    return {};
  }
  Status Step() override {
    ++round_;
    const size_t word = static_cast<size_t>(round_ * 7919 % kWords);
    written_[word] = round_;
    if (std::atomic_ref<const uint64_t>(read_[word]) != round_)
      return Wrong("another map shows an old value");
    if (round_ % 64 != 0) return {};
    // Everything goes out, and comes in again from the file.
    if (::msync(written_, kBytes, MS_SYNC) != 0) return FailErrno(errno, "msync");
    if (::madvise(const_cast<uint64_t*>(read_), kBytes, MADV_DONTNEED) != 0 ||
        ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED) != 0)
      return FailErrno(errno, "madvise");
    for (size_t i = 0; i < kWords; i += 511) {
      uint64_t value = 0;
      if (::pread(fd_.get(), &value, sizeof value, static_cast<off_t>(i * sizeof value)) !=
          static_cast<ssize_t>(sizeof value))
        return FailErrno(errno, "pread");
      if (value != written_[i] || std::atomic_ref<const uint64_t>(read_[i]) != value)
        return Wrong("read(2) and the maps differ at word " + std::to_string(i));
    }
    return {};
  }

 private:
  static constexpr size_t kBytes = 256 << 10;
  static constexpr size_t kWords = kBytes / sizeof(uint64_t);

  UniqueFd fd_;
  uint64_t* written_ = nullptr;
  const uint64_t* read_ = nullptr;
  uint64_t round_ = 0;
};

// Descriptors of one process suffice: flock and OFD locks belong to the open file, and a lock of
// the process (fcntl) is in the way of an OFD lock.
class LockHolder final : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::string name() const override { return "lock holder"; }

  Status Prepare() override {
    PXFS_TRY(InDirectory::Prepare());
    PXFS_ASSIGN(whole_, Open("flock", O_RDWR | O_CREAT));
    PXFS_ASSIGN(other_whole_, Open("flock", O_RDWR));
    PXFS_ASSIGN(range_, Open("fcntl", O_RDWR | O_CREAT));
    PXFS_ASSIGN(other_range_, Open("fcntl", O_RDWR));
    if (::flock(whole_.get(), LOCK_EX) != 0) return FailErrno(errno, "flock");
    PXFS_TRY(Lock(range_, F_SETLK, F_WRLCK, 0));
    return Lock(range_, F_OFD_SETLK, F_WRLCK, 100);
  }
  Status Step() override {
    if (::flock(other_whole_.get(), LOCK_SH | LOCK_NB) == 0) return Wrong("flock was lost");
    if (errno != EWOULDBLOCK) return FailErrno(errno, "flock");
    for (const off_t start : {0, 100}) {
      if (const auto taken = Lock(other_range_, F_OFD_SETLK, F_RDLCK, start); taken)
        return Wrong("the fcntl lock at " + std::to_string(start) + " was lost");
      else if (errno != EAGAIN && errno != EACCES)
        return taken;
    }
    // One that is free can be had, and given back.
    PXFS_TRY(Lock(other_range_, F_OFD_SETLKW, F_WRLCK, 200));
    return Lock(other_range_, F_OFD_SETLK, F_UNLCK, 200);
  }

 private:
  static Status Lock(const UniqueFd& fd, int command, short type, off_t start) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = 10;
    if (::fcntl(fd.get(), command, &lock) != 0) return FailErrno(errno, "fcntl lock");
    return {};
  }

  UniqueFd whole_, other_whole_, range_, other_range_;
};

class DirectoryHolder final : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::string name() const override { return "directory holder"; }

  Status Prepare() override {
    PXFS_TRY(MakeDirectories(Path("before/inner")));
    PXFS_ASSIGN(inner_, OpenAt(AT_FDCWD, Path("before/inner"), O_RDONLY | O_DIRECTORY));
    if (::rename(Path("before").c_str(), Path("after").c_str()) != 0)
      return FailErrno(errno, "rename");
    return {};
  }
  Status Step() override {
    const std::string name = "name" + std::to_string(round_++);
    if (::mkdirat(inner_.get(), name.c_str(), 0755) != 0)
      return FailErrno(errno, "mkdirat " + name);
    if (::access(Path("after/inner/" + name).c_str(), F_OK) != 0)
      return FailErrno(errno, "access to " + name);
    if (::renameat(inner_.get(), name.c_str(), inner_.get(), "other") != 0)
      return FailErrno(errno, "renameat " + name);
    if (::unlinkat(inner_.get(), "other", AT_REMOVEDIR) != 0)
      return FailErrno(errno, "rmdir after " + name);
    if (::symlinkat("target", inner_.get(), "other") != 0) return FailErrno(errno, "symlinkat");
    if (::unlinkat(inner_.get(), "other", 0) != 0) return FailErrno(errno, "unlinkat");
    return {};
  }

 private:
  UniqueFd inner_;
  uint64_t round_ = 0;
};

class OrphanHolder final : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::string name() const override { return "holder of removed files"; }

  Status Prepare() override {
    PXFS_TRY(InDirectory::Prepare());
    PXFS_ASSIGN(removed_, Open("removed", O_RDWR | O_CREAT));
    if (::unlink(Path("removed").c_str()) != 0) return FailErrno(errno, "unlink");
    PXFS_ASSIGN(nameless_, OpenAt(AT_FDCWD, directory_, O_TMPFILE | O_RDWR, 0600));
    return {};
  }
  Status Step() override {
    ++round_;
    for (const UniqueFd* fd : {&removed_, &nameless_}) {
      const auto offset = static_cast<off_t>(round_ % 1000 * sizeof round_);
      if (::pwrite(fd->get(), &round_, sizeof round_, offset) !=
          static_cast<ssize_t>(sizeof round_))
        return FailErrno(errno, "pwrite");
      uint64_t seen = 0;
      if (::pread(fd->get(), &seen, sizeof seen, offset) != static_cast<ssize_t>(sizeof seen))
        return FailErrno(errno, "pread");
      if (seen != round_) return Wrong("a removed file lost what was written");
      struct stat st;
      if (::fstat(fd->get(), &st) != 0) return FailErrno(errno, "fstat");
      if (st.st_nlink != 0) return Wrong("a removed file has names");
    }
    return {};
  }

 private:
  UniqueFd removed_, nameless_;
  uint64_t round_ = 0;
};

class Watcher final : public InDirectory {
 public:
  using InDirectory::InDirectory;
  std::string name() const override { return "watcher"; }

  Status Prepare() override {
    PXFS_TRY(InDirectory::Prepare());
    watch_ = UniqueFd(::inotify_init1(IN_CLOEXEC));
    if (!watch_ || ::inotify_add_watch(watch_.get(), directory_.c_str(), IN_CREATE | IN_DELETE) < 0)
      return FailErrno(errno, "inotify");
    return {};
  }
  Status Step() override {
    const std::string name = "name" + std::to_string(round_++);
    PXFS_ASSIGN(UniqueFd fd, Open(name, O_WRONLY | O_CREAT | O_EXCL));
    PXFS_TRY(Hear(IN_CREATE, name));
    if (::unlink(Path(name).c_str()) != 0) return FailErrno(errno, "unlink");
    return Hear(IN_DELETE, name);
  }

 private:
  Status Hear(uint32_t what, const std::string& name) {
    alignas(inotify_event) char buffer[sizeof(inotify_event) + 256];
    pollfd ready{watch_.get(), POLLIN, 0};
    if (::poll(&ready, 1, 0) != 1) return Wrong("nothing was heard of " + name);
    if (::read(watch_.get(), buffer, sizeof buffer) <= 0) return FailErrno(errno, "inotify");
    const auto* event = reinterpret_cast<const inotify_event*>(buffer);
    if ((event->mask & what) == 0 || name != event->name)
      return Wrong("heard of " + std::string(event->name) + " instead of " + name);
    return {};
  }

  UniqueFd watch_;
  uint64_t round_ = 0;
};

class ProgramRunner final : public Activity {
 public:
  ProgramRunner(std::string name, std::vector<std::string> argv)
      : name_(std::move(name)), argv_(std::move(argv)) {}
  std::string name() const override { return name_; }
  Status Step() override { return RunOk(argv_, {}, std::chrono::seconds(300)); }

 private:
  const std::string name_;
  const std::vector<std::string> argv_;
};

}  // namespace

std::unique_ptr<Activity> MakeAppender(const std::string& directory) {
  return std::make_unique<Appender>(directory);
}
std::unique_ptr<Activity> MakeMapper(const std::string& directory) {
  return std::make_unique<Mapper>(directory);
}
std::unique_ptr<Activity> MakeLockHolder(const std::string& directory) {
  return std::make_unique<LockHolder>(directory);
}
std::unique_ptr<Activity> MakeDirectoryHolder(const std::string& directory) {
  return std::make_unique<DirectoryHolder>(directory);
}
std::unique_ptr<Activity> MakeOrphanHolder(const std::string& directory) {
  return std::make_unique<OrphanHolder>(directory);
}
std::unique_ptr<Activity> MakeWatcher(const std::string& directory) {
  return std::make_unique<Watcher>(directory);
}
std::unique_ptr<Activity> MakeFio(const std::string& directory, const std::string& engine) {
  return MakeProgram("fio " + engine,
                     {"fio", "--name=verify", "--directory=" + directory, "--rw=randwrite",
                      "--size=4m", "--bsrange=4k-64k", "--verify=crc32c", "--verify_fatal=1",
                      "--verify_backlog=32", "--fallocate=none", "--ioengine=" + engine,
                      "--output-format=terse", "--thinktime=200", "--verify_state_save=0"});
}
std::unique_ptr<Activity> MakeProgram(const std::string& name, std::vector<std::string> argv) {
  return std::make_unique<ProgramRunner>(name, std::move(argv));
}

std::vector<std::unique_ptr<Activity>> MakeHolders(const std::string& directory) {
  std::vector<std::unique_ptr<Activity>> work;
  work.push_back(MakeAppender(directory + "/appender"));
  work.push_back(MakeMapper(directory + "/mapper"));
  work.push_back(MakeLockHolder(directory + "/locks"));
  work.push_back(MakeDirectoryHolder(directory + "/directories"));
  work.push_back(MakeOrphanHolder(directory + "/removed"));
  work.push_back(MakeWatcher(directory + "/watched"));
  for (const char* engine : {"psync", "mmap"}) {
    const std::string files = directory + "/fio-" + engine;
    if (const auto made = MakeDirectories(files); !made) ADD_FAILURE() << made.error().message();
    work.push_back(MakeFio(files, engine));
  }
  return work;
}

}  // namespace pxfs::test
