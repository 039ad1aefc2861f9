// Jobs that do not succeed publish nothing and leave nothing; the fixture looks after each test at
// processes, cgroups, containers, mounts, views and staged files.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/jobs/job_fixture.h"

namespace pxfs::test {
namespace {

using nlohmann::json;

class LeftoversTest : public JobTest {
 protected:
  // A job that stages a file, starts children that ignore SIGTERM, and says that it runs.
  uint64_t SubmitStubborn(Argv flags) {
    WriteText(Here("input"), "text\n");
    for (const auto& word :
         {std::string("--input"), Here("input"), std::string("--output"), Here("out"),
          std::string("--"), std::string("sh"), std::string("-c"),
          "trap '' TERM; touch $PXFS_OUTPUT/half; (sleep 1000 & setsid sleep 1000 & wait) &\n"
          "touch " +
              InContainer("runs") + "; while :; do sleep 1000; done"}) {
      flags.push_back(word);
    }
    return Submit(flags);
  }
  void ExpectNothing(const char* state, uint64_t id) {
    EXPECT_EQ(Show(id)["state"], state);
    EXPECT_FALSE(std::filesystem::exists(Here("out")));
    EXPECT_EQ(Leftovers(), std::vector<std::string>());
    // Its output is free again.
    EXPECT_EQ(Job({"submit", "--wait", "--output", Here("out"), "--", "true"}).status, 0);
  }
};

TEST_F(LeftoversTest, WhileAJobRunsThereIsSomethingToFind) {
  const uint64_t id = SubmitStubborn({});
  AwaitFile(Here("runs"));
  std::string all;
  for (const auto& item : Leftovers()) all += item + "\n";
  for (const char* kind :
       {"process ", "cgroup: ", "mount: ", "/views/job-", "/staging/job-", "conmon"}) {
    EXPECT_NE(all.find(kind), std::string::npos) << kind << " is not among\n" << all;
  }
  EXPECT_EQ(Job({"cancel", "--grace", "0s", std::to_string(id)}).status, 0);
  EXPECT_NE(WaitFor(id).status, 0);
}

TEST_F(LeftoversTest, OfAJobThatFails) {
  const uint64_t id =
      Submit({"--output", Here("out"), "--", "sh", "-c", "touch $PXFS_OUTPUT/half; exit 42"});
  EXPECT_EQ(WaitFor(id).status, 42);
  ExpectNothing("failed", id);
}

TEST_F(LeftoversTest, OfAJobThatIsCancelledWhileItRuns) {
  const uint64_t id = SubmitStubborn({});
  AwaitFile(Here("runs"));
  EXPECT_EQ(Job({"cancel", "--grace", "1s", std::to_string(id)}).status, 0);
  EXPECT_NE(WaitFor(id).status, 0);
  ExpectNothing("cancelled", id);
}

TEST_F(LeftoversTest, OfAJobThatIsCancelledWhileItWaits) {
  const uint64_t id = Submit({"--hold", "--output", Here("out"), "--", "true"});
  EXPECT_EQ(Job({"cancel", std::to_string(id)}).status, 0);
  EXPECT_NE(WaitFor(id).status, 0);
  ExpectNothing("cancelled", id);
}

TEST_F(LeftoversTest, OfAJobThatRunsOutOfTime) {
  const uint64_t id = SubmitStubborn({"--time", "1s"});
  EXPECT_EQ(WaitFor(id).status, 124);
  ExpectNothing("timed-out", id);
}

TEST_F(LeftoversTest, OfAJobThatCannotBeLaunched) {
  const uint64_t id = Submit({"--output", Here("out"), "--", "/no/such/program"});
  const Outcome waited = WaitFor(id);
  EXPECT_EQ(waited.status, 125);
  EXPECT_NE(waited.errors.find("/no/such/program"), std::string::npos) << waited.errors;
  ExpectNothing("failed", id);
}

TEST_F(LeftoversTest, OfTasksWhoseSiblingFails) {
  for (const char* name : {"a", "b"}) WriteText(Here(std::string("in") + name), "text\n");
  const uint64_t id = Submit({"--input", Here("ina"), "--input", Here("inb"), "--split", "files",
                              "--output", Here("out"), "--", "sh", "-c",
                              "touch $PXFS_OUTPUT/$PXFS_TASK_ID\n"
                              "[ $PXFS_TASK_ID = 1 ] && exit 6; sleep 1000"});
  EXPECT_EQ(WaitFor(id).status, 6);
  ExpectNothing("failed", id);
}

}  // namespace
}  // namespace pxfs::test
