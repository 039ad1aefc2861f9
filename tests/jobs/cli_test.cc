// What users type: flags, verbs, exit statuses, and what is refused. A refusal is one line that
// says what and on what, and leaves neither a job nor anything in the namespace.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/jobs/job_fixture.h"
#include "tests/support/temporary_directory.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;

class JobCliTest : public JobTest {
 protected:
  static size_t Jobs() {
    const Outcome listed = Job({"ls", "--all", "--json"});
    EXPECT_EQ(listed.status, 0) << listed.errors;
    const auto jobs = nlohmann::json::parse(listed.output, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(jobs.is_array()) << listed.output;
    return jobs.size();
  }
  static void ExpectRefusal(const Outcome& outcome, int status,
                            const std::vector<std::string>& words) {
    EXPECT_EQ(outcome.status, status) << outcome.errors;
    EXPECT_EQ(outcome.output, "");
    EXPECT_THAT(outcome.errors, testing::StartsWith("pxfs-job: "));
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
    for (const auto& word : words) EXPECT_THAT(outcome.errors, HasSubstr(word));
  }
  void ExpectRefused(const Argv& arguments, int status, const std::vector<std::string>& words) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const size_t jobs = Jobs();
    ExpectRefusal(Job(arguments), status, words);
    EXPECT_EQ(Jobs(), jobs);
  }
  // The log of a job that succeeds.
  static std::string LogOf(Argv arguments, const std::string& script) {
    arguments.insert(arguments.end(), {"--", "sh", "-c", script});
    const uint64_t id = Submit(arguments);
    EXPECT_EQ(WaitFor(id).status, 0);
    return Job({"logs", std::to_string(id)}).output;
  }
};

TEST_F(JobCliTest, WhatIsWrongIsSaidInOneLine) {
  WriteText(Here("file"), "text");
  ASSERT_STATUS(MakeDirectories(Here("there")));
  ExpectRefused({"submit", "--no-such-flag", "--", "true"}, 2, {"--no-such-flag"});
  ExpectRefused({"frobnicate"}, 2, {"frobnicate"});
  ExpectRefused({"submit"}, 2, {"command"});
  ExpectRefused({"submit", "--cpus", "many", "--", "true"}, 2, {"cpus", "many"});
  ExpectRefused({"submit", "--memory", "1Q", "--", "true"}, 2, {"memory", "1Q"});
  ExpectRefused({"submit", "--time", "soon", "--", "true"}, 2, {"time", "soon"});
  ExpectRefused({"submit", "--env", "=x", "--", "true"}, 2, {"env"});
  ExpectRefused({"submit", "--split", "volumes", "--", "true"}, 1, {"--split", "--input"});
  ExpectRefused({"submit", "--result-copies", "none", "--", "true"}, 2, {"result-copies", "none"});
  ExpectRefused({"submit", "--result-copies", "2", "--", "true"}, 1, {"--result-copies"});
  ExpectRefused({"submit", "--result-copies", "99", "--output", Here("new"), "--", "true"}, 1,
                {"new", "99"});
  ExpectRefused({"submit", "--cpus", "10000", "--", "true"}, 1, {"10000", "CPUs"});
  ExpectRefused({"submit", "--input", Here("missing"), "--", "true"}, 1, {"missing"});
  ExpectRefused({"submit", "--input", Here("none*"), "--", "true"}, 1, {"none*"});
  ExpectRefused({"submit", "--output", Here("there"), "--", "true"}, 1, {"there", "exists"});
  ExpectRefused({"submit", "--output", Here("no/such"), "--", "true"}, 1, {"no/such"});
  ExpectRefused({"submit", "--output", Here("file/x"), "--", "true"}, 1, {"file/x"});
  ExpectRefused({"submit", "--image", Here("there"), "--", "true"}, 1, {"there"});
  ExpectRefused({"submit", "--image", "/no/such/image", "--", "true"}, 1, {"/no/such/image"});
  ExpectRefused({"submit", "--user", "no-such-user", "--", "true"}, 1, {"no-such-user"});
  ExpectRefused({"show", "999999"}, 1, {"999999"});
  ExpectRefused({"logs", "999999"}, 1, {"999999"});
  ExpectRefused({"cancel", "999999"}, 1, {"999999"});
  ExpectRefused({"wait", "999999"}, 1, {"999999"});
  ExpectRefused({"show", "first"}, 2, {"first"});
}

TEST_F(JobCliTest, AStrangerGetsWhatItMayAndNoMore) {
  WriteText(Here("secret"), "for root");
  ASSERT_EQ(::chmod(Here("secret").c_str(), 0600), 0);
  ExpectRefusal(JobAs(kStranger, {"submit", "--input", Here("secret"), "--", "true"}), 1,
                {"secret", "ermission"});
  ASSERT_STATUS(MakeDirectories(Here("closed")));
  ExpectRefusal(JobAs(kStranger, {"submit", "--output", Here("closed/out"), "--", "true"}), 1,
                {"closed/out", "permission"});
  const uint64_t id = Submit({"--", "sleep", "600"});
  ExpectRefusal(JobAs(kStranger, {"cancel", std::to_string(id)}), 1, {std::to_string(id)});
  AwaitState(id, "running");
  EXPECT_EQ(Job({"cancel", std::to_string(id)}).status, 0);
  AwaitState(id, "cancelled");
}

TEST_F(JobCliTest, TheExitStatusIsTheJobs) {
  EXPECT_EQ(Job({"submit", "--wait", "--", "true"}).status, 0);
  EXPECT_EQ(Job({"submit", "--wait", "--", "sh", "-c", "exit 7"}).status, 7);
  EXPECT_EQ(Job({"submit", "--wait", "--", "sh", "-c", "sh -c 'kill -TERM $$'; exit $?"}).status,
            128 + 15);
  EXPECT_EQ(Job({"submit", "--wait", "--", "/no/such/program"}).status, 125);
  EXPECT_EQ(Job({"submit", "--wait", "--time", "1s", "--", "sleep", "600"}).status, 124);
}

TEST_F(JobCliTest, FlagsReachTheContainer) {
  EXPECT_EQ(LogOf({"--env", "A=b c", "--env", "D=e"}, "echo \"$A|$D\""), "b c|e\n");
  EXPECT_EQ(LogOf({"--workdir", "/usr"}, "pwd"), "/usr\n");
  const std::string id = LogOf({}, "echo \"$PXFS_TASK_ID $PXFS_TASK_COUNT\"; id -u");
  EXPECT_EQ(id, "0 1\n0\n");
  EXPECT_EQ(LogOf({}, "grep -c . /proc/net/dev"),
            LogOf({"--network", "none"}, "grep -c . /proc/net/dev"));
  EXPECT_THAT(LogOf({"--tmp", "16M"}, "df -k /tmp | tail -1"), HasSubstr("16384"));
  const uint64_t greedy = Submit(
      {"--memory", "32M", "--", "sh", "-c", "head -c 200M /dev/zero | tail -c 150M >/dev/null"});
  EXPECT_NE(WaitFor(greedy).status, 0);
}

TEST_F(JobCliTest, LogsOfARunningJobAreFollowedToItsEnd) {
  const uint64_t id = Submit({"--", "sh", "-c", "echo one; echo two >&2; sleep 1; echo three"});
  const Outcome followed = Job({"logs", "--follow", std::to_string(id)});
  EXPECT_EQ(followed.status, 0) << followed.errors;
  EXPECT_THAT(followed.output, HasSubstr("one\n"));
  EXPECT_THAT(followed.output, HasSubstr("three\n"));
  EXPECT_EQ(Show(id)["state"], "succeeded");
}

TEST_F(JobCliTest, ADirectoryServesAsAnImage) {
  const TemporaryDirectory scratch;
  const std::string root = scratch.path() + "/rootfs";
  ASSERT_EQ(::chmod(scratch.path().c_str(), 0755), 0);
  ASSERT_EQ(
      RunProgram({"sh", "-c",
                  "mkdir -p $1/bin $1/lib64 $1/lib/x86_64-linux-gnu $1/proc $1/dev $1/tmp && cp "
                  "/bin/sh $1/bin/ && cp -L /lib64/ld-linux-x86-64.so.2 $1/lib64/ && cp -L "
                  "/lib/x86_64-linux-gnu/libc.so.6 $1/lib/x86_64-linux-gnu/ && chmod -R a+rX $1",
                  "sh", root})
          ->status,
      0);
  const uint64_t id = Submit({"--image", root, "--", "sh", "-c", "echo in an image; echo /bin/*"});
  EXPECT_EQ(WaitFor(id).status, 0) << Show(id).dump(2);
  EXPECT_EQ(Job({"logs", std::to_string(id)}).output, "in an image\n/bin/sh\n");
}

TEST_F(JobCliTest, OutputsAppearWholeAndBelongToTheSubmitter) {
  const std::string script =
      "cd $PXFS_OUTPUT && mkdir -p deep/er && echo text >deep/er/file && ln deep/er/file hard && "
      "ln -s deep/er/file soft && mkfifo fifo && chmod 640 deep/er/file";
  const Outcome submitted =
      JobAs(kStranger, {"submit", "--wait", "--output", Here("out"), "--", "sh", "-c", script});
  ASSERT_EQ(submitted.status, 0) << submitted.errors;
  struct stat st;
  ASSERT_EQ(::lstat(Here("out/deep/er/file").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, kStranger);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
  EXPECT_EQ(st.st_nlink, 2u);
  EXPECT_EQ(ReadText(Here("out/hard")), "text\n");
  EXPECT_EQ(ReadText(Here("out/soft")), "text\n");
  ASSERT_EQ(::lstat(Here("out/fifo").c_str(), &st), 0);
  EXPECT_TRUE(S_ISFIFO(st.st_mode));
}

TEST_F(JobCliTest, ResultsGetTheCopiesThatTheJobAsksFor) {
  const Outcome submitted =
      JobAs(kStranger, {"submit", "--wait", "--output", Here("copied"), "--result-copies", "2",
                        "--", "sh", "-c", "mkdir $PXFS_OUTPUT/d && echo text >$PXFS_OUTPUT/d/f"});
  ASSERT_EQ(submitted.status, 0) << submitted.errors;
  EXPECT_TRUE(Eventually(
      [&] {
        const auto where = RunProgram({Program("pxfs"), "where", "--json", Here("copied/d/f")});
        const auto files = nlohmann::json::parse(where->output, nullptr, false);
        int current = 0;
        for (const auto& replica : files.at(0).at("replicas"))
          current += replica["state"] == "current" ? 1 : 0;
        return current == 2;
      },
      std::chrono::seconds(30)));
}

// More than one call to the metadata service takes: who looks sees no part of it.
TEST_F(JobCliTest, AnObserverSeesTheWholeOutputOrNone) {
  MakeInput("data", 12);
  const uint64_t id =
      Submit({"--input", Here("data"), "--split", "2", "--output", Here("out"), "--", "sh", "-c",
              "mkdir $PXFS_OUTPUT/$PXFS_TASK_ID && cd $PXFS_OUTPUT/$PXFS_TASK_ID && "
              "seq 1300 | xargs touch && ln 1 zz && setfattr -n user.k -v v 2 && "
              "setfacl -m u:4321:r 3"});
  const auto list = [](const std::string& path) {
    size_t names = 0;
    std::error_code error;
    for (auto it = std::filesystem::directory_iterator(path, error);
         !error && it != std::filesystem::directory_iterator(); it.increment(error))
      ++names;
    return names;
  };
  ASSERT_TRUE(Eventually([&] {
    const size_t tasks = list(Here("out"));
    if (tasks == 0) {
      EXPECT_FALSE(::access(Here("out").c_str(), F_OK) == 0 && list(Here("out")) == 0);
      return false;
    }
    EXPECT_EQ(tasks, 2u);
    EXPECT_EQ(list(Here("out/0")), 1301u);
    EXPECT_EQ(list(Here("out/1")), 1301u);
    return true;
  }));
  EXPECT_EQ(WaitFor(id).status, 0);
  for (const std::string task : {"out/0/", "out/1/"}) {
    struct stat one, other;
    ASSERT_EQ(::stat(Here(task + "1").c_str(), &one), 0);
    ASSERT_EQ(::stat(Here(task + "zz").c_str(), &other), 0);
    EXPECT_EQ(one.st_ino, other.st_ino);
    char value[8] = {};
    EXPECT_EQ(::getxattr(Here(task + "2").c_str(), "user.k", value, sizeof value), 1);
    EXPECT_STREQ(value, "v");
    EXPECT_GT(::getxattr(Here(task + "3").c_str(), "system.posix_acl_access", nullptr, 0), 0);
  }
}

TEST_F(JobCliTest, ANameThatTwoTasksWroteIsAnErrorAndNothingAppears) {
  MakeInput("data", 12);
  const Outcome submitted =
      Job({"submit", "--wait", "--input", Here("data"), "--split", "3", "--output", Here("out"),
           "--", "sh", "-c", "echo $PXFS_TASK_ID >$PXFS_OUTPUT/same"});
  EXPECT_NE(submitted.status, 0);
  EXPECT_THAT(submitted.errors, HasSubstr("same"));
  EXPECT_NE(::access(Here("out").c_str(), F_OK), 0);
}

TEST_F(JobCliTest, AJobWaitsForItsInputAndAnOutputIsClaimedOnce) {
  const std::string gate = Here("gate");
  const uint64_t first = Submit(
      {"--output", Here("made"), "--", "sh", "-c",
       "until [ -e " + InContainer("gate") + " ]; do sleep 0.05; done; echo 41 >$PXFS_OUTPUT/n"});
  const uint64_t second =
      Submit({"--input", Here("made"), "--output", Here("added"), "--", "sh", "-c",
              "echo $(($(cat " + InContainer("made/n") + ") + 1)) >$PXFS_OUTPUT/n"});
  ExpectRefused({"submit", "--output", Here("made"), "--", "true"}, 1,
                {"made", "claimed by job " + std::to_string(first)});
  AwaitState(first, "running");
  EXPECT_EQ(Show(second)["state"], "queued");
  EXPECT_NE(::access(Here("made").c_str(), F_OK), 0);
  WriteText(gate, "");
  EXPECT_EQ(WaitFor(first).status, 0);
  EXPECT_EQ(WaitFor(second).status, 0);
  EXPECT_EQ(ReadText(Here("added/n")), "42\n");
  ExpectRefused({"submit", "--output", Here("made"), "--", "true"}, 1, {"made", "exists"});
}

}  // namespace
}  // namespace pxfs::test
