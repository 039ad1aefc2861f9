// The crash workload itself, on a native file system: its model is right there, and a loss is
// noticed.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "tests/crash/worker.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace pxfs::test {
namespace {

class CrashWorkload : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MakeDirectories(work_));
    void* shared = ::mmap(nullptr, sizeof(WorkloadControl), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    control_ = new (shared) WorkloadControl;
  }
  void TearDown() override { ::munmap(control_, sizeof(WorkloadControl)); }

  // Lets one worker do `operations`, then kills it.
  void Work(uint32_t seed, uint64_t operations) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    control_->wanted = operations;
    control_->reached_fd = ends[1];
    const pid_t pid = StartWorker(work_, log_, seed, *control_);
    ASSERT_GT(pid, 0) << std::strerror(errno);
    char byte;
    ASSERT_EQ(::read(ends[0], &byte, 1), 1);
    ::kill(pid, SIGKILL);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    ::close(ends[0]);
    ::close(ends[1]);
  }

  TemporaryDirectory directory_;
  const std::string work_ = directory_ / "work", log_ = directory_ / "log";
  WorkloadControl* control_ = nullptr;
};

TEST_F(CrashWorkload, TheModelIsWhatAFileSystemDoes) {
  Work(7, 3'000);
  const auto history = ReadHistory(log_);
  ASSERT_TRUE(history) << history.error().message();
  EXPECT_GE(history->operations, 3'000u);
  EXPECT_EQ(history->error, "");
  EXPECT_EQ(CompareWithHistory(*history, work_), "");
}

TEST_F(CrashWorkload, ALossIsNoticed) {
  Work(8, 500);
  const auto history = ReadHistory(log_);
  ASSERT_TRUE(history);
  ASSERT_EQ(CompareWithHistory(*history, work_), "");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(work_)) {
    if (!entry.is_regular_file() || entry.file_size() == 0) continue;
    const std::string path = entry.path();
    ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(entry.file_size() - 1)), 0);
    EXPECT_NE(CompareWithHistory(*history, work_), "");
    ASSERT_TRUE(std::filesystem::remove(path));
    EXPECT_NE(CompareWithHistory(*history, work_), "");
    return;
  }
  FAIL() << "the workload left no file with content";
}

TEST_F(CrashWorkload, AnErrorWithoutAKillIsAnError) {
  std::filesystem::create_directory(work_ + "/d0");  // in the way of what the worker will do
  for (int i = 0; i < 12; ++i) std::ofstream(work_ + "/f" + std::to_string(i));
  control_->wanted = 1'000'000;
  const pid_t pid = StartWorker(work_, log_, 9, *control_);
  ASSERT_GT(pid, 0) << std::strerror(errno);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  const auto history = ReadHistory(log_);
  ASSERT_TRUE(history);
  EXPECT_NE(history->error.find("File exists"), std::string::npos) << history->error;
}

}  // namespace
}  // namespace pxfs::test
