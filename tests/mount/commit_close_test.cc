// Policy commit=close: when fsync or close has returned, the copies are there, whatever was killed
// meanwhile; and where they cannot be made, it says so.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/unique_fd.h"
#include "tests/mount/copies_fixture.h"

namespace pxfs::test {
namespace {

class CommitCloseTest : public CopiesTest {
 protected:
  void SetUp() override {
    MountedOptions options;
    options.expected_errors = {"copies are there"};
    StartCluster(options);
    Pxfs({"policy", "set", mounted_->path(), "copies=2", "commit=close"});
  }
  UniqueFd OpenToWrite(const std::string& name) const {
    UniqueFd fd(::open(Path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    EXPECT_TRUE(fd) << name;
    return fd;
  }
  static int Append(const UniqueFd& fd, const std::string& text) {
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    return n == static_cast<ssize_t>(text.size()) ? 0 : n < 0 ? errno : EIO;
  }
  // 0, or the errno.
  static int Close(UniqueFd fd) { return ::close(fd.release()) == 0 ? 0 : errno; }
  int WriteFile(const std::string& name, const std::string& content) const {
    UniqueFd fd = OpenToWrite(name);
    const int error = Append(fd, content);
    return error ? error : Close(std::move(fd));
  }
  // At this moment; each is compared with the file. Asks without starting a program, whose copies
  // of open descriptors would be closed.
  size_t CopiesNow(const std::string& name) const {
    char text[4096];
    const ssize_t n = ::getxattr(Path(name).c_str(), "user.pxfs.location", text, sizeof text);
    EXPECT_GT(n, 0) << name;
    if (n <= 0) return 0;
    size_t current = 0;
    const auto replicas = nlohmann::json::parse(text, text + n).at("replicas");
    for (const auto& replica : replicas) {
      if (replica["state"] != "current") continue;
      ++current;
      EXPECT_EQ(ReadText(replica["object"]), ReadText(Path(name))) << replica.dump();
    }
    return current;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, CommitCloseTest, testing::ValuesIn(ShapesInTime()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(CommitCloseTest, WhenItHasReturnedTheCopiesAreThere) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(WriteFile(name, std::string(100'000, *name)), 0);
    EXPECT_EQ(CopiesNow(name), 2u) << name;
  }
  UniqueFd fd = OpenToWrite("f");
  ASSERT_EQ(Append(fd, "one "), 0);
  ASSERT_EQ(::fsync(fd.get()), 0);
  EXPECT_EQ(CopiesNow("f"), 2u);
  // It goes on, and what it had is the past.
  ASSERT_EQ(Append(fd, "two "), 0);
  EXPECT_EQ(CopiesNow("f"), 1u);
  UniqueFd second(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  ASSERT_EQ(Close(std::move(second)), 0);
  EXPECT_EQ(CopiesNow("f"), 2u);
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  void* const map = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  static_cast<char*>(map)[100] = 'm';
  ASSERT_EQ(::munmap(map, 4096), 0);
  ASSERT_EQ(::fallocate(fd.get(), 0, 0, 8192), 0);
  ASSERT_EQ(Close(std::move(fd)), 0);
  EXPECT_EQ(CopiesNow("f"), 2u);
  const std::string content = ReadText(Path("f"));
  EXPECT_EQ(content.substr(0, 8), "one two ");
  EXPECT_EQ(content[100], 'm');
  EXPECT_EQ(content.size(), 8192u);
  // One that was removed needs none.
  UniqueFd removed = OpenToWrite("removed");
  ASSERT_EQ(Append(removed, "x"), 0);
  ASSERT_EQ(::unlink(Path("removed").c_str()), 0);
  EXPECT_EQ(Close(std::move(removed)), 0);
}

TEST_P(CommitCloseTest, WhereCopiesCannotBeMadeItSaysSo) {
  Pxfs({"policy", "set", mounted_->path(), "pin=v1"});
  for (const char* volume : {"v2", "v3"}) Pxfs({"volume", "set", volume, "reserve=1024T"});
  EXPECT_EQ(WriteFile("full", "content"), ENOSPC);
  EXPECT_EQ(ReadText(Path("full")), "content");
  for (const char* volume : {"v2", "v3"})
    Pxfs({"volume", "set", volume, "reserve=0", "state=readonly"});
  Pxfs({"copies", "set", "commit-timeout=1s"});
  UniqueFd fd = OpenToWrite("late");
  ASSERT_EQ(Append(fd, "content"), 0);
  EXPECT_EQ(::fsync(fd.get()), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(Close(std::move(fd)), EIO);
  EXPECT_EQ(ReadText(Path("late")), "content");
  // They are made as soon as they can be.
  Pxfs({"volume", "set", "v2", "state=online"});
  for (const char* name : {"full", "late"}) AwaitCopies(name, 2);
  Pxfs({"copies", "set", "commit-timeout=60s"});
  EXPECT_EQ(WriteFile("full", "another"), 0);
  EXPECT_EQ(CopiesNow("full"), 2u);
}

// The daemon of the mount, or the one that has the store, dies while somebody waits.
TEST_P(CommitCloseTest, KillsInBetweenAreNotNoticed) {
  const int rounds = LongRun() ? 50 : 2;
  Pxfs({"copies", "set", "rate=4M"});
  for (int round = 0; round < rounds; ++round) {
    const std::string name = "f" + std::to_string(round);
    const std::string content(1 << 20, static_cast<char>('a' + round % 26));
    std::atomic<int> outcome{-1};
    std::thread writer([&] { outcome = WriteFile(name, content); });
    // Once the copying has begun, or is about to.
    EXPECT_TRUE(Eventually([&] {
      struct stat st;
      return ::stat(Path(name).c_str(), &st) == 0 && st.st_size == 1 << 20;
    }));
    if (GetParam() == Shape::kDaemon && round % 2 == 0) {
      EXPECT_STATUS(mounted_->KillAndRestartDaemon());
    } else {
      const nlohmann::json mounts = Json({"status"}).at("mounts");
      ASSERT_EQ(mounts.size(), 1u);
      EXPECT_EQ(::kill(mounts[0]["daemon_pid"], SIGKILL), 0);
    }
    writer.join();
    EXPECT_EQ(outcome, 0) << round;
    EXPECT_EQ(CopiesNow(name), 2u) << round;
    EXPECT_EQ(ReadText(Path(name)), content) << round;
  }
}

}  // namespace
}  // namespace pxfs::test
