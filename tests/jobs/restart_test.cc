// kill -9 of the process that serves the jobs: the mount's daemon in one shape, pxfsd in the other.
// Its successor takes everything over: what runs goes on, what waits will start, what ended
// meanwhile is found, what was being published is published once.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tests/jobs/job_fixture.h"
#include "tests/support/long_run.h"
#include "tests/survive/daemon_killer.h"

namespace pxfs::test {
namespace {

using nlohmann::json;
using std::chrono::seconds;

Shape ShapeOfThisRun() {
  const char* shape = std::getenv("PXFS_SHAPE");
  return shape && std::string(shape) == "daemon" ? Shape::kDaemon : Shape::kEmbedded;
}

class RestartTest : public JobTest {
 public:
  static void SetUpTestSuite() { Begin(ShapeOfThisRun()); }

 protected:
  void SetUp() override {
    JobTest::SetUp();
    // What tasks do and wait for is told by files outside of the cluster: they go on while nobody
    // serves it.
    signals_ = cluster().cluster().scratch() /
               testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_STATUS(MakeDirectories(signals_));
  }

  static void KillServer() {
    if (ShapeOfThisRun() == Shape::kDaemon) {
      ASSERT_STATUS(cluster().KillAndRestartDaemon());
    } else {
      ASSERT_STATUS(KillDaemon(cluster().cluster().directory(), cluster().path()));
    }
  }

  // Arguments with which a job sees the directory of signals at /signals and runs the script.
  Argv WithSignals(Argv arguments, const std::string& script) const {
    arguments.insert(arguments.end(), {"-v", signals_ + ":/signals", "--", "sh", "-c", script});
    return arguments;
  }
  std::string Signal(const std::string& name) const { return signals_ + "/" + name; }

  // Says that it runs, and goes on when told.
  static constexpr const char* kWaitForGo =
      "echo $PXFS_TASK_ID >>/signals/ran.$PXFS_TASK_ID\n"
      "until [ -e /signals/go ]; do sleep 0.02; done\n";

 private:
  std::string signals_;
};

TEST_F(RestartTest, RunningTasksGoOnAndEndAsTheyWouldHave) {
  MakeInput("data", 10);
  const std::string script = std::string(kWaitForGo) +
                             "cat $(cat $PXFS_INPUTS) | cksum >$PXFS_OUTPUT/sum.$PXFS_TASK_ID\n"
                             "echo from task $PXFS_TASK_ID";
  const uint64_t good = Submit(
      WithSignals({"--input", Here("data"), "--output", Here("out"), "--split", "2"}, script));
  for (const char* task : {"0", "1"}) AwaitFile(Signal(std::string("ran.") + task));
  Await(good, [](const json& shown) {
    return shown["tasks"][0]["state"] == "running" && shown["tasks"][1]["state"] == "running";
  });
  for (int kill = 0; kill < 3; ++kill) {
    ASSERT_NO_FATAL_FAILURE(KillServer());
    const json shown = Show(good);
    EXPECT_EQ(shown["state"], "running");
    EXPECT_EQ(shown["tasks"][0]["state"], "running");
    EXPECT_EQ(shown["routes"]["fast_path_files"], 10);
    EXPECT_FALSE(std::filesystem::exists(Here("out")));
  }
  WriteText(Signal("go"), "");
  const Outcome waited = WaitFor(good);
  EXPECT_EQ(waited.status, 0) << waited.errors;
  const json shown = Show(good);
  for (const json& task : shown["tasks"]) EXPECT_EQ(task["attempt"], 1);
  EXPECT_EQ(ReadText(Signal("ran.0")) + ReadText(Signal("ran.1")), "0\n1\n");
  // A mount whose pxfsd was killed hears of changes once it is connected to the next one.
  for (const char* sum : {"out/sum.0", "out/sum.1"}) AwaitFile(Here(sum));
  EXPECT_EQ(Job({"logs", std::to_string(good)}).output, "[0] from task 0\n[1] from task 1\n");
}

TEST_F(RestartTest, AnExitStatusIsTheTasksOwn) {
  const uint64_t bad = Submit(
      WithSignals({"--output", Here("out")},
                  std::string(kWaitForGo) + "touch $PXFS_OUTPUT/half\necho why >&2\nexit 7"));
  AwaitFile(Signal("ran.0"));
  ASSERT_NO_FATAL_FAILURE(KillServer());
  WriteText(Signal("go"), "");
  EXPECT_EQ(WaitFor(bad).status, 7);
  EXPECT_EQ(Show(bad)["state"], "failed");
  EXPECT_FALSE(std::filesystem::exists(Here("out")));
  EXPECT_EQ(Job({"logs", std::to_string(bad)}).errors, "why\n");
}

TEST_F(RestartTest, WhoeverWaitsForAJobIsNotDisturbed) {
  const std::string log = Signal("log");
  Argv command = {"sh",
                  "-c",
                  "\"$@\" >\"$0\" 2>&1; echo \"status $?\" >>\"$0\"",
                  log,
                  Program("pxfs-job"),
                  "submit",
                  "--follow"};
  for (auto& word : WithSignals({}, std::string("echo begun\n") + kWaitForGo + "exit 9")) {
    command.push_back(word);
  }
  auto waiting = Daemon::Start(command, Signal("unused"));
  ASSERT_TRUE(waiting) << waiting.error().message();
  AwaitFile(Signal("ran.0"));
  for (int kill = 0; kill < 2; ++kill) ASSERT_NO_FATAL_FAILURE(KillServer());
  WriteText(Signal("go"), "");
  ASSERT_TRUE(waiting->Wait(std::chrono::seconds(60)));
  const std::string said = ReadText(log);
  EXPECT_NE(said.find("begun\n"), std::string::npos) << said;
  EXPECT_NE(said.find("exit status 9"), std::string::npos) << said;
  EXPECT_TRUE(said.ends_with("status 9\n")) << said;
  EXPECT_EQ(said.find("begun"), said.rfind("begun")) << said;
}

TEST_F(RestartTest, WhatWaitsIsStartedLater) {
  const uint64_t first = Submit(
      WithSignals({"--output", Here("a")}, std::string(kWaitForGo) + "echo A >$PXFS_OUTPUT/text"));
  AwaitFile(Signal("ran.0"));
  const uint64_t second = Submit({"--input", Here("a"), "--output", Here("b"), "--", "sh", "-c",
                                  "cat $(cat $PXFS_INPUTS) >$PXFS_OUTPUT/text"});
  const uint64_t held =
      Submit({"--hold", "--output", Here("c"), "--", "sh", "-c", "echo C >$PXFS_OUTPUT/text"});
  ASSERT_NO_FATAL_FAILURE(KillServer());
  EXPECT_EQ(Show(second)["state"], "queued");
  EXPECT_EQ(Show(held)["state"], "held");
  // Their claims hold.
  const Outcome refused = Job({"submit", "--output", Here("c"), "--", "true"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.errors.find("claimed by job " + std::to_string(held)), std::string::npos)
      << refused.errors;
  WriteText(Signal("go"), "");
  EXPECT_EQ(WaitFor(first).status, 0);
  EXPECT_EQ(WaitFor(second).status, 0);
  EXPECT_EQ(ReadText(Here("b/text")), "A\n");
  EXPECT_EQ(Show(held)["state"], "held");
  EXPECT_EQ(Job({"release", std::to_string(held)}).status, 0);
  EXPECT_EQ(WaitFor(held).status, 0);
  EXPECT_EQ(ReadText(Here("c/text")), "C\n");
}

TEST_F(RestartTest, ATimeLimitCountsFromTheStartOfTheTask) {
  const uint64_t id = Submit(WithSignals({"--time", "3s", "--output", Here("out")},
                                         "touch $PXFS_OUTPUT/half /signals/runs; sleep 1000"));
  AwaitFile(Signal("runs"));
  ASSERT_NO_FATAL_FAILURE(KillServer());
  EXPECT_EQ(WaitFor(id).status, 124);
  const json shown = Show(id);
  EXPECT_EQ(shown["state"], "timed-out");
  EXPECT_LT(shown["ended_ms"].get<int64_t>() - shown["started_ms"].get<int64_t>(), 20'000);
  EXPECT_FALSE(std::filesystem::exists(Here("out")));
}

TEST_F(RestartTest, ACancelledJobStaysCancelled) {
  // It takes its time to end, so that the cancellation is under way when the server is killed.
  const uint64_t id = Submit(WithSignals(
      {"--output", Here("out")},
      "trap 'touch /signals/asked; until [ -e /signals/go ]; do sleep 0.02; done; exit 3' TERM\n"
      "touch $PXFS_OUTPUT/half /signals/runs; while :; do sleep 0.02; done"));
  AwaitFile(Signal("runs"));
  ASSERT_EQ(Job({"cancel", "--grace", "60s", std::to_string(id)}).status, 0);
  AwaitFile(Signal("asked"));
  ASSERT_NO_FATAL_FAILURE(KillServer());
  EXPECT_EQ(Show(id)["state"], "running");
  WriteText(Signal("go"), "");
  EXPECT_NE(WaitFor(id).status, 0);
  EXPECT_EQ(Show(id)["state"], "cancelled");
  EXPECT_FALSE(std::filesystem::exists(Here("out")));
}

TEST_F(RestartTest, WhatEndedWhileNobodyServedIsFound) {
  if (ShapeOfThisRun() != Shape::kDaemon) {
    // The mount's supervisor has the next daemon there at once, so this state cannot be held.
    GTEST_SKIP();
  }
  const uint64_t good = Submit(WithSignals(
      {"--output", Here("out")}, std::string(kWaitForGo) + "echo text >$PXFS_OUTPUT/file"));
  const uint64_t bad = Submit(WithSignals(
      {}, "touch /signals/second; until [ -e /signals/go ]; do sleep 0.02; done; exit 5"));
  AwaitFile(Signal("ran.0"));
  AwaitFile(Signal("second"));
  cluster().daemon().process().Signal(SIGKILL);
  ASSERT_TRUE(cluster().daemon().process().WaitForEnd(seconds(30)));
  WriteText(Signal("go"), "");
  for (const uint64_t id : {good, bad}) {
    AwaitFile(RunDirectory() + "/exits/" + ContainerPrefix() + std::to_string(id) + ".0");
  }
  ASSERT_STATUS(cluster().KillAndRestartDaemon());
  EXPECT_EQ(WaitFor(good).status, 0);
  EXPECT_EQ(WaitFor(bad).status, 5);
  EXPECT_EQ(ReadText(Here("out/file")), "text\n");
  EXPECT_EQ(ReadText(Signal("ran.0")), "0\n");
}

TEST_F(RestartTest, AMonitorThatIsGoneWithoutAWordMeansAnotherAttempt) {
  const uint64_t id = Submit(WithSignals({"--output", Here("out")},
                                         std::string(kWaitForGo) + "echo once >$PXFS_OUTPUT/file"));
  AwaitFile(Signal("ran.0"));
  Await(id, [](const json& shown) { return shown["tasks"][0]["state"] == "running"; });
  const std::string bundle = RunDirectory() + "/" + ContainerPrefix() + std::to_string(id) + ".0";
  const auto monitor = Process::Find(std::atoi(ReadText(bundle + "/monitor.pid").c_str()));
  ASSERT_TRUE(monitor) << monitor.error().message();
  monitor->Signal(SIGKILL);
  Await(id, [](const json& shown) {
    return shown["tasks"][0]["attempt"] == 2 && shown["tasks"][0]["state"] == "running";
  });
  WriteText(Signal("go"), "");
  EXPECT_EQ(WaitFor(id).status, 0);
  EXPECT_EQ(ReadText(Here("out/file")), "once\n");
}

// crun writes status, then config.json, and deletes nothing that has only the first.
TEST_F(RestartTest, AContainerThatWasHalfMadeIsRemoved) {
  const std::string states = RunDirectory() + "/crun/";
  for (const std::string& id : {ContainerPrefix() + "probe", ContainerPrefix() + "999999.0"}) {
    ASSERT_STATUS(MakeDirectories(states + id, 0700));
    WriteText(states + id + "/status",
              R"({"pid": 4194303, "process-start-time": 1, "cgroup-path": "/)" + id +
                  R"(", "scope": "", "rootfs": "rootfs", "systemd-cgroup": false, "bundle": ")" +
                  RunDirectory() + "/" + id +
                  R"(", "created": "2026-01-01T00:00:00Z", "owner": "root", "detached": true, )"
                  R"("external_descriptors": "[]"})");
  }
  KillServer();
  EXPECT_EQ(Job({"submit", "--wait", "--", "true"}).status, 0);
  EXPECT_TRUE(Eventually([&] { return Leftovers().empty(); }));
}

TEST_F(RestartTest, APublicationThatIsCutShortHappensOnce) {
  constexpr int kFiles = 1000;
  const uint64_t id = Submit(
      {"--output", Here("out"), "--", "sh", "-c",
       "cd $PXFS_OUTPUT && for i in $(seq " + std::to_string(kFiles) + "); do echo $i >$i; done"});
  Await(id, [](const json& shown) {
    return shown["state"] == "publishing" || shown["state"] == "succeeded";
  });
  ASSERT_NO_FATAL_FAILURE(KillServer());
  EXPECT_EQ(WaitFor(id).status, 0);
  EXPECT_EQ(Show(id)["tasks"][0]["attempt"], 1);
  const auto sum = RunProgram(
      {"sh", "-c", "ls " + Here("out") + " | wc -l; cat " + Here("out") + "/* | sort -n | cksum"});
  const auto expected = RunProgram(
      {"sh", "-c",
       "echo " + std::to_string(kFiles) + "; seq " + std::to_string(kFiles) + " | cksum"});
  ASSERT_TRUE(sum && expected);
  EXPECT_EQ(sum->output, expected->output);
}

// Kills at any moment: while tasks are prepared, started, followed, cleaned up after.
TEST_F(RestartTest, KillsAtAnyMomentLoseNoJobAndDoubleNoResult) {
  MakeInput("data", 12);
  const int kills = LongRun() ? 40 : 6;
  std::vector<uint64_t> ids;
  for (int i = 0; i < kills; ++i) {
    ids.push_back(Submit({"--input", Here("data"), "--output", Here("out" + std::to_string(i)),
                          "--split", "2", "--", "sh", "-c",
                          "for f in $(cat $PXFS_INPUTS); do\n"
                          "  cksum <$f >$PXFS_OUTPUT/${f##*/}; sleep 0.02\n"
                          "done"}));
    const auto pause = std::chrono::milliseconds(150 + i * 97 % 400);
    const auto until = std::chrono::steady_clock::now() + pause;
    Eventually([&] { return std::chrono::steady_clock::now() >= until; });
    ASSERT_NO_FATAL_FAILURE(KillServer());
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    const Outcome waited = WaitFor(ids[i]);
    EXPECT_EQ(waited.status, 0) << waited.errors << Show(ids[i]).dump(2);
    const std::string out = Here("out" + std::to_string(i));
    const auto same = RunProgram({"sh", "-c",
                                  "cd " + Here("data") +
                                      " && find . -type f | while read f; do cksum <$f | cmp - " +
                                      out + "/${f##*/} || exit 1; done; ls " + out + " | wc -l"});
    ASSERT_TRUE(same);
    EXPECT_EQ(same->output, "12\n") << "job " << ids[i];
  }
}

}  // namespace
}  // namespace pxfs::test
