// How containers read their input: through bind mounts of views where it lies on this node, by FUSE
// where it must, and never more than their submitter may.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "tests/jobs/job_fixture.h"

namespace pxfs::test {
namespace {

using nlohmann::json;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

struct MountLine {
  std::string root, mountpoint, options, type, super_options;
};

// The topmost mount at a place in a container, as its /proc/self/mountinfo said.
MountLine MountOf(const std::string& mountinfo, const std::string& mountpoint) {
  MountLine found;
  for (const auto& line : Lines(mountinfo)) {
    MountLine mount;
    std::string skip, source;
    std::istringstream fields(line);
    fields >> skip >> skip >> skip >> mount.root >> mount.mountpoint >> mount.options;
    while (fields >> skip && skip != "-") {
    }
    fields >> mount.type >> source >> mount.super_options;
    if (mount.mountpoint == mountpoint) found = mount;
  }
  return found;
}

class FastPathTest : public JobTest {
 protected:
  uint64_t BytesBelow(const std::string& directory) const {
    uint64_t bytes = 0;
    const auto sizes = RunProgram({"find", directory, "-type", "f", "-printf", "%s\n"});
    EXPECT_TRUE(sizes);
    for (const auto& line : Lines(sizes->output)) bytes += std::stoull(line);
    return bytes;
  }
  // A command that prints the checksums of files below Here(name) as a container would see them.
  std::string SumsBelow(const std::string& name) const {
    return "cd " + Here(name) + " && find . -type f -exec sha256sum {} + | sed 's|  [.]|  " +
           InContainer(name) + "|' | sort";
  }
  // Submits, waits for success, returns what the job wrote to its log.
  std::string OutputOf(Argv arguments, const std::string& script) {
    arguments.insert(arguments.end(), {"--", "sh", "-c", script});
    id_ = Submit(arguments);
    const Outcome waited = WaitFor(id_);
    const Outcome logs = Job({"logs", std::to_string(id_)});
    EXPECT_EQ(waited.status, 0) << waited.errors << logs.output << logs.errors;
    return logs.output;
  }

  uint64_t id_ = 0;
};

TEST_F(FastPathTest, TasksOfASplitReadTheirPartThroughABindMount) {
  const auto expected = MakeInput("data");
  const Outcome submitted =
      Job({"submit", "--parsable", "--input", Here("data"), "--output", Here("result"), "--split",
           "volumes", "--wait", "--", "sh", "-c",
           "cat /proc/self/mountinfo >\"$PXFS_OUTPUT/mountinfo.$PXFS_TASK_ID\"\n"
           "xargs -0 sha256sum <\"$PXFS_INPUTS0\" >\"$PXFS_OUTPUT/sums.$PXFS_TASK_ID\"\n"
           "find " +
               InContainer("data") +
               " -type f | sort >\"$PXFS_OUTPUT/found.$PXFS_TASK_ID\"\n"
               "cat \"$PXFS_INPUTS\" >\"$PXFS_OUTPUT/listed.$PXFS_TASK_ID\""});
  ASSERT_EQ(submitted.status, 0) << submitted.errors;
  const json shown = Show(std::stoull(submitted.output));
  ASSERT_EQ(shown["task_count"], 3);

  std::set<std::string> volumes;
  std::vector<std::string> sums;
  for (int task = 0; task < 3; ++task) {
    const std::string suffix = "." + std::to_string(task);
    const MountLine mount =
        MountOf(ReadText(Here("result/mountinfo" + suffix)), InContainer("data"));
    EXPECT_NE(mount.mountpoint, "") << "nothing is mounted at the input in task " << task;
    EXPECT_FALSE(mount.type.starts_with("fuse")) << mount.type;
    EXPECT_NE(mount.root.find("/views/job-" + std::to_string(shown["id"].get<uint64_t>()) + suffix +
                              "/0"),
              std::string::npos)
        << mount.root;
    EXPECT_TRUE(("," + mount.options + ",").find(",ro,") != std::string::npos) << mount.options;
    volumes.insert(mount.root.substr(0, mount.root.find("/views/")));
    for (const auto& line : Lines(ReadText(Here("result/sums" + suffix)))) sums.push_back(line);
    EXPECT_EQ(ReadText(Here("result/found" + suffix)), ReadText(Here("result/listed" + suffix)));
  }
  EXPECT_EQ(volumes.size(), 3u);
  std::sort(sums.begin(), sums.end());
  EXPECT_EQ(sums, expected);

  const json& routes = shown["routes"];
  EXPECT_EQ(routes["fast_path_files"], expected.size());
  EXPECT_EQ(routes["fast_path_bytes"], BytesBelow(Here("data")));
  EXPECT_EQ(routes["fuse_files"], 0);
  EXPECT_EQ(routes["fuse_bytes"], 0);
  EXPECT_EQ(routes["output_files"], 12);
  EXPECT_EQ(routes["output_bytes"], BytesBelow(Here("result")));
}

TEST_F(FastPathTest, AnInputOnSeveralVolumesIsOneTree) {
  MakeInput("data");
  ASSERT_STATUS(MakeDirectories(Here("data/empty")));
  ASSERT_EQ(::symlink("../part1/file1", Here("data/empty/link").c_str()), 0);
  ASSERT_EQ(::symlink("/nowhere", Here("data/dangling").c_str()), 0);
  ASSERT_EQ(::link(Here("data/part0/file5").c_str(), Here("data/second name").c_str()), 0);
  ASSERT_EQ(::chmod(Here("data/part2").c_str(), 02750), 0);
  ASSERT_EQ(::chmod(Here("data/part3/file3").c_str(), 0640), 0);
  ASSERT_EQ(::chown(Here("data/part3/file3").c_str(), kStranger, 77), 0);
  const std::string look =
      "find . -printf '%p %y %m %U %G %T@ %l\\n' | sort && find . -type f -exec cksum {} + | sort";
  const auto expected = RunProgram({"sh", "-c", "cd " + Here("data") + " && " + look});
  ASSERT_TRUE(expected);
  const std::string seen =
      OutputOf({"--input", Here("data")}, "cd " + InContainer("data") + " && " + look +
                                              " && echo MOUNTS && cat /proc/self/mountinfo");
  const size_t mounts = seen.find("MOUNTS\n");
  ASSERT_NE(mounts, std::string::npos) << seen;
  EXPECT_EQ(seen.substr(0, mounts), expected->output);
  const MountLine mount = MountOf(seen, InContainer("data"));
  EXPECT_EQ(mount.type, "overlay");
  EXPECT_EQ(Show(id_)["routes"]["fast_path_files"], 61);
  EXPECT_EQ(Show(id_)["routes"]["fuse_files"], 0);
}

TEST_F(FastPathTest, AnInputThatIsAFileIsBoundByItself) {
  WriteText(Here("one"), "alone\n");
  WriteText(Here("other"), "beside it\n");
  const std::string seen =
      OutputOf({"--input", Here("one"), "--input", Here("other")},
               "cat \"$PXFS_INPUTS\"; cat " + InContainer("one") + "; cat /proc/self/mountinfo");
  EXPECT_TRUE(seen.starts_with(InContainer("one") + "\n" + InContainer("other") + "\nalone\n"))
      << seen;
  const MountLine mount = MountOf(seen, InContainer("one"));
  EXPECT_FALSE(mount.type.empty() || mount.type.starts_with("fuse")) << mount.type;
  EXPECT_EQ(Show(id_)["routes"]["fast_path_bytes"], 16);
}

TEST_F(FastPathTest, InputsCannotBeChangedFromInside) {
  const auto before = MakeInput("data", 20);
  WriteText(Here("single"), "as it was\n");
  const std::string data = InContainer("data");
  const std::string seen = OutputOf(
      {"--input", Here("data"), "--input", Here("single")},
      "cd " + data +
          "\n"
          "for change in 'echo x >part0/file0' 'echo x >>part1/file1' 'rm -f part2/file2'\\\n"
          "  'mkdir new' 'mv part3 part9' 'chmod 777 part0' 'touch -d @0 part0/file0'\\\n"
          "  'ln part0/file0 link' 'setfattr -n user.a -v b part0/file0' 'echo x >" +
          InContainer("single") +
          "'; do\n"
          "  (eval \"$change\") 2>/dev/null && echo \"$change was possible\"\n"
          "done; echo done");
  EXPECT_EQ(seen, "done\n");
  EXPECT_EQ(ReadText(Here("single")), "as it was\n");
  const auto now = RunProgram({"sh", "-c", SumsBelow("data")});
  ASSERT_TRUE(now);
  EXPECT_EQ(Lines(now->output), before);
}

TEST_F(FastPathTest, WithoutTheFastPathTheInputIsTheMountItself) {
  const auto expected = MakeInput("data", 20);
  const std::string seen =
      OutputOf({"--input", Here("data"), "--fastpath", "off"},
               "xargs -0 sha256sum <\"$PXFS_INPUTS0\" | sort; cat /proc/self/mountinfo");
  std::string sums;
  for (const auto& line : expected) sums += line + "\n";
  EXPECT_TRUE(seen.starts_with(sums)) << seen;
  EXPECT_EQ(MountOf(seen, InContainer("data")).type, "fuse.pxfs");
  const json routes = Show(id_)["routes"];
  EXPECT_EQ(routes["fast_path_files"], 0);
  EXPECT_EQ(routes["fuse_files"], 20);
  EXPECT_EQ(routes["fuse_bytes"], BytesBelow(Here("data")));
}

// What a user may read is the same in a container as on the mount, whatever the route.
TEST_F(FastPathTest, AJobReadsWhatItsSubmitterMayRead) {
  ASSERT_STATUS(MakeDirectories(Here("data/closed")));
  ASSERT_STATUS(MakeDirectories(Here("data/unsearchable")));
  const std::map<std::string, mode_t> files = {
      {"open", 0644},          {"secret", 0600},          {"group", 0640},
      {"closed/inside", 0644}, {"unsearchable/in", 0644}, {"granted", 0600},
      {"denied", 0644}};
  for (const auto& [name, mode] : files) {
    WriteText(Here("data/" + name), name + "\n");
    ASSERT_EQ(::chmod(Here("data/" + name).c_str(), mode), 0);
  }
  ASSERT_EQ(::chown(Here("data/group").c_str(), 0, kStranger), 0);
  ASSERT_STATUS(RunOk({"setfacl", "-m", "u:54321:r", Here("data/granted")}));
  ASSERT_STATUS(RunOk({"setfacl", "-m", "u:54321:-", Here("data/denied")}));
  ASSERT_EQ(::chmod(Here("data/closed").c_str(), 0700), 0);
  ASSERT_EQ(::chmod(Here("data/unsearchable").c_str(), 0744), 0);
  const std::string look =
      "id -u; for file in open secret group closed/inside unsearchable/in granted denied; do\n"
      "  cat $file 2>/dev/null || echo \"not $file\"\n"
      "done; ls closed 2>/dev/null || echo 'not closed'\n";
  const std::string expected =
      "54321\nopen\nnot secret\ngroup\nnot closed/inside\nnot unsearchable/in\ngranted\n"
      "not denied\nnot closed\n";
  const auto outside =
      RunProgram({"setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "sh", "-c",
                  "cd " + Here("data") + " && " + look});
  ASSERT_TRUE(outside);
  ASSERT_EQ(outside->output, expected) << "on the mount itself";

  for (const char* fast_path : {"auto", "off"}) {
    const Outcome submitted = JobAs(
        kStranger, {"submit", "--parsable", "--wait", "--input", Here("data"), "--fastpath",
                    fast_path, "--", "sh", "-c", "cd " + InContainer("data") + " && " + look});
    ASSERT_EQ(submitted.status, 0) << submitted.errors;
    const uint64_t id = std::stoull(submitted.output);
    EXPECT_EQ(Job({"logs", std::to_string(id)}).output, expected) << fast_path;
    if (std::string(fast_path) == "off") continue;
    // Through the view goes what mode bits alone allow.
    EXPECT_EQ(Show(id)["routes"]["fast_path_files"], 2);
    EXPECT_EQ(Show(id)["routes"]["fast_path_bytes"], std::string("open\ngroup\n").size());
  }
}

TEST_F(FastPathTest, AFileWithAnAccessControlListGoesByFuseAndTheRestDoesNot) {
  const auto expected = MakeInput("data", 20);
  ASSERT_STATUS(RunOk({"setfacl", "-m", "u:54321:r", Here("data/part2/file12")}));
  const std::string seen =
      OutputOf({"--input", Here("data")}, "xargs -0 sha256sum <\"$PXFS_INPUTS0\" | sort");
  EXPECT_EQ(Lines(seen), expected);
  EXPECT_EQ(Show(id_)["routes"]["fast_path_files"], 19);
  EXPECT_EQ(Show(id_)["routes"]["fuse_files"], 1);

  const Outcome required =
      Job({"submit", "--wait", "--input", Here("data"), "--fastpath", "require", "--", "true"});
  EXPECT_EQ(required.status, 125);
  EXPECT_NE(required.errors.find("part2/file12' is not on the fast path"), std::string::npos)
      << required.errors;
}

// Names are those at launch; what is removed or replaced meanwhile stays readable as it was.
TEST_F(FastPathTest, AnInputThatIsRemovedMeanwhileStaysReadable) {
  const auto expected = MakeInput("data", 20);
  const uint64_t id = Submit({"--input", Here("data"), "--", "sh", "-c",
                              "until [ -e " + InContainer("go") +
                                  " ]; do sleep 0.02; done\n"
                                  "xargs -0 sha256sum <\"$PXFS_INPUTS0\" | sort"});
  AwaitState(id, "running");
  Await(id, [](const json& shown) { return shown["tasks"][0]["state"] == "running"; });
  ASSERT_STATUS(RunOk({"sh", "-c", "rm -r " + Here("data/*")}));
  WriteText(Here("go"), "");
  ASSERT_EQ(WaitFor(id).status, 0);
  const Outcome logs = Job({"logs", std::to_string(id)});
  EXPECT_EQ(Lines(logs.output), expected) << logs.errors;
}

}  // namespace
}  // namespace pxfs::test
