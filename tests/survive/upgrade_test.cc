// `pxfs mount upgrade`: the processes of a mount are replaced while programs work on it, and a
// program that cannot replace them leaves the mount as it was.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/crash/store_inspection.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"
#include "tests/survive/activities.h"
#include "tests/survive/daemon_killer.h"
#include "tests/survive/prober.h"

namespace pxfs::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class Upgrade : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    auto mounted = MountedCluster::Start(
        {.shape = GetParam(), .options = "", .cluster = {.ext4_image = true}});
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
  }
  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }
  std::string Scratch(const std::string& name) const {
    return mounted_->cluster().scratch() / name;
  }

  // `pxfs mount upgrade`, for this mount.
  Outcome Run(const Argv& arguments) const {
    Argv command = {Program("pxfs"), "mount", "upgrade"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto outcome = RunApart(command, {"PXFS_CLUSTER=" + mounted_->cluster().directory()});
    EXPECT_TRUE(outcome) << outcome.error().message();
    return outcome ? *outcome : Outcome{};
  }
  MountRecord Record() const {
    const auto record = RecordOfMount(mounted_->cluster().directory(), mounted_->path());
    EXPECT_TRUE(record) << record.error().message();
    return record ? *record : MountRecord{};
  }
  // Runs `program` in its place, which it was told to.
  void ExpectRefused(const std::string& program, const std::string& why);
  std::string MakeScript(const std::string& name, const std::string& text) const {
    std::ofstream(Scratch(name)) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(Scratch(name), std::filesystem::perms(0755));
    return Scratch(name);
  }

  std::unique_ptr<MountedCluster> mounted_;
};

std::string ProgramOf(pid_t pid) {
  return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe");
}

void Upgrade::ExpectRefused(const std::string& program, const std::string& why) {
  const Outcome outcome = Run({mounted_->path(), "--program", program});
  EXPECT_EQ(outcome.status, 1) << program;
  EXPECT_EQ(outcome.output, "") << program;
  EXPECT_THAT(outcome.errors, HasSubstr(why));
  EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
  const MountRecord record = Record();
  EXPECT_EQ(ProgramOf(record.supervisor_pid), Program("mount.pxfs"));
  EXPECT_EQ(ProgramOf(record.daemon_pid), Program("mount.pxfs"));
}

TEST_P(Upgrade, GoesUnnoticed) {
  std::vector<std::unique_ptr<Activity>> work;
  auto prober = std::make_unique<Prober>(Path("prober"));
  const Prober& probed = *prober;
  work.push_back(std::move(prober));
  for (auto& holder : MakeHolders(mounted_->path())) work.push_back(std::move(holder));
  // A command that waits for the cluster's service is a client too.
  const std::string job = "PXFS_CLUSTER=" + mounted_->cluster().directory();
  const auto submitted = RunProgram({Program("pxfs-job"), "submit", "--parsable", "--", "sh", "-c",
                                     "until [ -e /pxfs/stop ]; do sleep 0.05; done"},
                                    {job});
  ASSERT_TRUE(submitted) << submitted.error().message();
  ASSERT_EQ(submitted->status, 0) << submitted->output;
  auto waiting = Daemon::Start({"env", job, Program("pxfs-job"), "wait",
                                submitted->output.substr(0, submitted->output.find('\n'))},
                               Scratch("wait.out"));
  ASSERT_TRUE(waiting) << waiting.error().message();

  // The same program at two places, in turn.
  const std::string copy = Scratch("another-program");
  std::filesystem::copy_file(Program("mount.pxfs"), copy);
  const MountRecord before = Record();
  double longest = 0;
  auto activities = std::make_unique<Activities>();
  ASSERT_STATUS(activities->Start(std::move(work)));
  const int rounds = LongRun() ? 30 : 3;
  for (int i = 0; i < rounds; ++i) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(120);
    while (!activities->AllMoved() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const pid_t daemon = Record().daemon_pid;
    const std::string& program = i % 2 == 0 ? copy : Program("mount.pxfs");
    const Outcome outcome = Run({mounted_->path(), "--program", program, "--json"});
    ASSERT_EQ(outcome.status, 0) << outcome.output << outcome.errors;
    const auto json = nlohmann::json::parse(outcome.output);
    EXPECT_EQ(json["old_version"], PXFS_VERSION);
    EXPECT_EQ(json["new_version"], PXFS_VERSION);
    longest = std::max(longest, json["stall_ms"].get<double>());
    const MountRecord after = Record();
    EXPECT_NE(after.daemon_pid, daemon);
    EXPECT_EQ(after.supervisor_pid, before.supervisor_pid);
    EXPECT_EQ(ProgramOf(after.daemon_pid), program);
    EXPECT_EQ(after.version, PXFS_VERSION);
  }
  // Without a program it is the newest one's path, without a mount point the only mount's.
  const Outcome again = Run({});
  EXPECT_EQ(again.status, 0) << again.errors;
  EXPECT_THAT(again.output, HasSubstr("to " PXFS_VERSION));
  activities->Stop();
  EXPECT_THAT(activities->Problems(), testing::IsEmpty());
  for (const std::string& line : activities->Summary()) std::printf("  %s\n", line.c_str());
  std::printf("%s: %d upgrades, the longest stall %.1f ms; the longest call %.1f ms (%s)\n",
              ToString(GetParam()), rounds + 1, longest,
              static_cast<double>(probed.longest().time.count()) / 1000,
              probed.longest().call.c_str());
  activities.reset();  // and with it what holds the mount

  std::ofstream(Path("stop")).close();
  const auto waited = waiting->Wait(seconds(60));
  ASSERT_TRUE(waited) << waited.error().message();
  EXPECT_EQ(*waited, 0) << ReadFile(Scratch("wait.out")).value_or("");
  // A daemon of the new program that dies is succeeded by one of the new program.
  ASSERT_STATUS(KillDaemon(mounted_->cluster().directory(), mounted_->path()));
  EXPECT_EQ(ProgramOf(Record().supervisor_pid), ProgramOf(Record().daemon_pid));

  ASSERT_STATUS(mounted_->Stop());
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

TEST_P(Upgrade, ToAProgramThatFailsChangesNothing) {
  std::ofstream(Path("file")) << "content";
  const MountRecord before = Record();
  // What the check finds does not even stop the daemon.
  ExpectRefused(Scratch("absent"), "absent");
  ExpectRefused(MakeScript("fails", "exit 1\n"), "does not start as a mount.pxfs");
  ExpectRefused(MakeScript("tells", "echo no such option\nexit 1\n"), "no such option");
  ExpectRefused("/usr/bin/true", "does not start as a mount.pxfs");
  EXPECT_EQ(Record().daemon_pid, before.daemon_pid);
  // What it does not find does, and then the program before it goes on.
  const std::string real = Program("mount.pxfs");
  const auto passing = [&](const std::string& name, const std::string& daemon) {
    return MakeScript(name, "[ \"$1\" != --check ] || exec " + real + " \"$@\"\n" + daemon);
  };
  ExpectRefused(passing("dies", "exit 1\n"), "died at once");
  ExpectRefused(passing("says", "echo warning: rain >&5\necho the disk is purple >&5\nexit 1\n"),
                "the disk is purple");
  EXPECT_NE(Record().daemon_pid, before.daemon_pid);
  EXPECT_EQ(ReadFile(Path("file")).value_or(""), "content");
  std::ofstream(Path("another")) << "x";
  EXPECT_EQ(ReadFile(Path("another")).value_or(""), "x");

  const Outcome nowhere = Run({Scratch("")});
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_THAT(nowhere.errors, HasSubstr("no mount of"));
  // And after all this it can be upgraded.
  const Outcome good = Run({mounted_->path()});
  EXPECT_EQ(good.status, 0) << good.errors;
  ASSERT_STATUS(mounted_->Stop());
}

INSTANTIATE_TEST_SUITE_P(Shapes, Upgrade, testing::Values(Shape::kEmbedded, Shape::kDaemon),
                         [](const auto& info) { return std::string(ToString(info.param)); });

}  // namespace
}  // namespace pxfs::test
