// Thousands of operations, chosen by a seeded generator over few names, so that they meet; then the
// whole tree.
#include <random>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

constexpr int kOperations = 2'500;
constexpr size_t kMaxOpen = 12;

class RandomWalk {
 public:
  RandomWalk(Probe& p, uint32_t seed) : p_(p), random_(seed) {}

  void Run(int operations) {
    for (const char* name : {"a", "b", "c"}) p_.Mkdir(name);
    for (int i = 0; i < operations; ++i) {
      Step();
      if (i % 200 == 199) CheckOpenFiles();
    }
    for (const int fd : open_) p_.Close(fd);
    p_.Tree(".");
  }

 private:
  size_t Below(size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(random_);
  }

  // A path of one to three components out of few names, so that it often exists.
  std::string Path() {
    static constexpr const char* kNames[] = {"a", "b", "c", "f1", "f2", "f3", "g"};
    std::string path;
    for (size_t depth = 1 + Below(3); depth > 0; --depth)
      path += std::string(path.empty() ? "" : "/") + kNames[depth > 1 ? Below(3) : Below(7)];
    return path;
  }
  std::string Data() {
    return std::string(1 + Below(Below(4) == 0 ? 60'000 : 200), static_cast<char>('a' + Below(26)));
  }
  int AnyOpen() { return open_.empty() ? -1 : open_[Below(open_.size())]; }

  void OpenOne(int flags) {
    if (open_.size() >= kMaxOpen) {
      const size_t victim = Below(open_.size());
      p_.Close(open_[victim]);
      open_.erase(open_.begin() + static_cast<long>(victim));
    }
    const int fd = p_.Open(Path(), flags, static_cast<mode_t>(0600 + Below(0100)));
    if (fd >= 0) open_.push_back(fd);
  }

  void CheckOpenFiles() {
    for (const int fd : open_) {
      p_.Fstat(fd);
      p_.Pread(fd, 100'000, 0);
    }
  }

  void Step() {
    const timespec time{static_cast<time_t>(Below(2'000'000'000)),
                        static_cast<long>(Below(1'000'000'000))};
    switch (Below(26)) {
      case 0:
      case 1:
        return OpenOne(O_RDWR | O_CREAT);
      case 2:
        return OpenOne(O_RDWR | O_CREAT | O_EXCL);
      case 3:
        return OpenOne(O_RDONLY);
      case 4:
        return OpenOne(O_WRONLY | O_TRUNC);
      case 5:
        return OpenOne(O_WRONLY | O_APPEND);
      case 6:
        return OpenOne(O_RDWR | O_CREAT | O_TRUNC);
      case 7:
      case 8:
        return p_.Write(AnyOpen(), Data());
      case 9:
        return p_.Pwrite(AnyOpen(), Data(), static_cast<off_t>(Below(100'000)));
      case 10:
        return p_.Pread(AnyOpen(), Below(50'000), static_cast<off_t>(Below(60'000)));
      case 11:
        return p_.Ftruncate(AnyOpen(), static_cast<off_t>(Below(80'000)));
      case 12:
        return p_.Truncate(Path(), static_cast<off_t>(Below(50'000)));
      case 13:
        return p_.Mkdir(Path(), static_cast<mode_t>(0700 + Below(0100)));
      case 14:
        return p_.Rmdir(Path());
      case 15:
      case 16:
        return p_.Unlink(Path());
      case 17:
      case 18:
        return p_.Rename(Path(), Path(), static_cast<unsigned>(Below(6) < 4 ? 0 : Below(3)));
      case 19:
        return p_.Link(Path(), Path());
      case 20:
        return p_.Symlink(Path(), Path());
      case 21:
        return p_.Chmod(Path(), static_cast<mode_t>(0600 + Below(0200)));
      case 22:
        return p_.Chown(Path(), static_cast<uid_t>(Below(5)), static_cast<gid_t>(Below(5)));
      case 23:
        return p_.Utimens(Path(), time, time, AT_SYMLINK_NOFOLLOW);
      case 24:
        return p_.SetXattr(Path(), "user.k" + std::to_string(Below(3)), Data().substr(0, 40));
      default:
        return Below(2) == 0 ? p_.Content(Path()) : p_.Stat(Path());
    }
  }

  Probe& p_;
  std::mt19937 random_;
  std::vector<int> open_;
};

void Walk(Probe& p, uint32_t seed) {
  for (int round = 0; round < Effort(); ++round) {
    const std::string directory =
        "seed" + std::to_string(seed + static_cast<uint32_t>(round) * 1'000);
    p.Mkdir(directory);
    if (::chdir(directory.c_str()) != 0) return p.Note("chdir " + ErrnoName(errno));
    RandomWalk(p, seed + static_cast<uint32_t>(round) * 1'000).Run(kOperations);
    if (::chdir("..") != 0) return p.Note("chdir " + ErrnoName(errno));
  }
}

}  // namespace

PXFS_SCENARIO(RandomOperationsSeed1) { Walk(p, 1); }
PXFS_SCENARIO(RandomOperationsSeed2) { Walk(p, 2); }
PXFS_SCENARIO(RandomOperationsSeed3) { Walk(p, 3); }
PXFS_SCENARIO(RandomOperationsSeed4) { Walk(p, 4); }

}  // namespace pxfs::test
