// File handles that outlive the mount, many open files, and large directories under change.

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

struct Handle {
  alignas(file_handle) char bytes[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  file_handle* get() { return reinterpret_cast<file_handle*>(bytes); }
};

class Handles : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    auto mounted = MountedCluster::Start({.shape = GetParam(), .options = "", .cluster = {}});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
  }
  void TearDown() override {
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }
  void Make(const std::string& name, const std::string& content) {
    auto fd = OpenAt(AT_FDCWD, Path(name), O_WRONLY | O_CREAT | O_EXCL, 0644);
    ASSERT_TRUE(fd) << fd.error().message();
    ASSERT_STATUS(WriteAll(fd->get(), content));
  }
  Handle HandleOf(const std::string& name) {
    Handle handle;
    handle.get()->handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    EXPECT_EQ(::name_to_handle_at(AT_FDCWD, Path(name).c_str(), handle.get(), &mount_id, 0), 0)
        << name << ": " << std::strerror(errno);
    return handle;
  }
  UniqueFd OpenHandle(Handle& handle, int flags) {
    auto root = OpenAt(AT_FDCWD, mounted_->path(), O_RDONLY | O_DIRECTORY);
    EXPECT_TRUE(root);
    if (!root) return {};
    const int fd = ::open_by_handle_at(root->get(), handle.get(), flags | O_CLOEXEC);
    const int error = errno;
    root->reset();
    errno = error;
    return UniqueFd(fd);
  }

  std::unique_ptr<MountedCluster> mounted_;
};

// Also while the kernel is just forgetting the inode.
TEST_P(Handles, AreStaleOnceTheFileIsGone) {
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(::mknod(Path("gone").c_str(), S_IFREG | 0600, 0), 0);
    Handle gone = HandleOf("gone");
    ASSERT_EQ(::unlink(Path("gone").c_str()), 0);
    ASSERT_FALSE(OpenHandle(gone, O_RDONLY)) << "round " << i;
    ASSERT_EQ(errno, ESTALE) << "round " << i;
  }
}

TEST_P(Handles, OutliveTheMount) {
  ASSERT_EQ(::mkdir(Path("d").c_str(), 0755), 0);
  Make("d/file", "content");
  Make("d/gone", "content");
  Handle file = HandleOf("d/file"), gone = HandleOf("d/gone"), directory = HandleOf("d");
  const auto check = [&](const char* when) {
    SCOPED_TRACE(when);
    const UniqueFd fd = OpenHandle(file, O_RDWR);
    ASSERT_TRUE(fd) << std::strerror(errno);
    char bytes[16];
    EXPECT_EQ(::pread(fd.get(), bytes, sizeof bytes, 0), 7);
    EXPECT_EQ(::pwrite(fd.get(), "C", 1, 0), 1);
    const UniqueFd at = OpenHandle(directory, O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(at) << std::strerror(errno);
    struct stat st;
    EXPECT_EQ(::fstatat(at.get(), "file", &st, 0), 0);
    EXPECT_EQ(::fstatat(at.get(), "..", &st, 0), 0) << "the way up is found";
  };
  check("at once");
  ASSERT_EQ(::unlink(Path("d/gone").c_str()), 0);
  // The kernel lets go of its inode when the release of the file, which close(2) does not wait for,
  // has been answered.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (OpenHandle(gone, O_RDONLY) && std::chrono::steady_clock::now() < limit)
    std::this_thread::yield();
  EXPECT_EQ(errno, ESTALE);
  ASSERT_STATUS(mounted_->Stop());
  ASSERT_STATUS(mounted_->Restart());
  check("after umount and mount");
  EXPECT_FALSE(OpenHandle(gone, O_RDONLY));
  EXPECT_EQ(errno, ESTALE);
  ASSERT_EQ(::rename(Path("d/file").c_str(), Path("elsewhere").c_str()), 0);
  EXPECT_TRUE(OpenHandle(file, O_RDONLY)) << "whatever its name is";
}

TEST_P(Handles, TensOfThousandsOfOpenFiles) {
  const size_t count = LongRun() ? 60'000 : 2'000;
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const size_t mine = std::min<size_t>(count, limit.rlim_max - 100);
  limit.rlim_cur = mine + 100;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  std::vector<UniqueFd> files;
  for (size_t i = 0; i < mine; ++i) {
    files.emplace_back(
        ::open(Path("f" + std::to_string(i)).c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    ASSERT_TRUE(files.back()) << i << ": " << std::strerror(errno);
  }
  for (size_t i = 0; i < mine; i += 97) {
    const std::string number = std::to_string(i);
    ASSERT_EQ(::write(files[i].get(), number.data(), number.size()),
              static_cast<ssize_t>(number.size()));
  }
  for (size_t i = 0; i < mine; i += 97) {
    char bytes[16] = {};
    ASSERT_EQ(::pread(files[i].get(), bytes, 15, 0),
              static_cast<ssize_t>(std::to_string(i).size()));
    EXPECT_EQ(bytes, std::to_string(i));
  }
  // Their releases come some time after the closes.
  files.clear();
  const auto limit_of_wait = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::string said;
  do {
    const auto status = RunApart(
        {Program("pxfs"), "--cluster", mounted_->cluster().directory(), "status", "--json"});
    ASSERT_TRUE(status) << status.error().message();
    said = status->output;
    std::erase(said, ' ');
  } while (said.find("\"open_for_write\":0") == std::string::npos &&
           std::chrono::steady_clock::now() < limit_of_wait);
  EXPECT_NE(said.find("\"open_for_write\":0"), std::string::npos) << said;
}

// While names come and go beside them, those that stay are listed once, from wherever a reader goes
// on.
TEST_P(Handles, ALargeDirectoryUnderChange) {
  const int count = LongRun() ? 1'000'000 : 20'000;
  ASSERT_EQ(::mkdir(Path("d").c_str(), 0755), 0);
  for (int i = 0; i < count; ++i)
    ASSERT_EQ(::mknod(Path("d/stays" + std::to_string(i)).c_str(), S_IFREG | 0600, 0), 0);
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop; ++i) {
      const std::string name = Path("d/comes" + std::to_string(i % 500));
      ::mknod(name.c_str(), S_IFREG | 0600, 0);
      ::unlink(Path("d/comes" + std::to_string((i + 250) % 500)).c_str());
    }
  });
  DIR* directory = ::opendir(Path("d").c_str());
  ASSERT_TRUE(directory);
  std::vector<std::pair<long, std::string>> places;
  std::set<std::string> seen;
  int twice = 0;
  for (size_t n = 0;; ++n) {
    const long before = ::telldir(directory);
    const dirent* entry = ::readdir(directory);
    if (!entry) break;
    const std::string name = entry->d_name;
    if (!name.starts_with("stays")) continue;
    if (!seen.insert(name).second) ++twice;
    if (n % 1'000 == 0) places.emplace_back(before, name);
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(count));
  EXPECT_EQ(twice, 0);
  for (const auto& [place, name] : places) {
    ::seekdir(directory, place);
    const dirent* entry = ::readdir(directory);
    while (entry && std::strncmp(entry->d_name, "stays", 5) != 0) entry = ::readdir(directory);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->d_name, name);
  }
  stop = true;
  changer.join();
  ::closedir(directory);
}

TEST_P(Handles, InotifyTellsOfLocalChanges) {
  const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_TRUE(watch);
  ASSERT_GE(::inotify_add_watch(watch.get(), mounted_->path().c_str(), IN_ALL_EVENTS), 0);
  Make("a", "x");
  ASSERT_EQ(::rename(Path("a").c_str(), Path("b").c_str()), 0);
  ASSERT_EQ(::chmod(Path("b").c_str(), 0600), 0);
  ASSERT_EQ(::unlink(Path("b").c_str()), 0);
  uint32_t told = 0;
  alignas(inotify_event) char buffer[16'384];
  for (ssize_t n; (n = ::read(watch.get(), buffer, sizeof buffer)) > 0;) {
    for (char* at = buffer; at < buffer + n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      told |= event->mask;
      at += sizeof *event + event->len;
    }
  }
  for (const uint32_t wanted : {IN_CREATE, IN_OPEN, IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_FROM,
                                IN_MOVED_TO, IN_ATTRIB, IN_DELETE})
    EXPECT_TRUE(told & wanted) << std::hex << wanted;
}

std::vector<Shape> Shapes() {
  if (LongRun()) return {Shape::kEmbedded, Shape::kDaemon};
  return {Shape::kEmbedded};
}

INSTANTIATE_TEST_SUITE_P(Shapes, Handles, testing::ValuesIn(Shapes()),
                         [](const auto& info) { return ToString(info.param); });

}  // namespace
}  // namespace pxfs::test
