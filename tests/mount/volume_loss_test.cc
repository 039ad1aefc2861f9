// Volumes that go, for a while or for good: what has a copy elsewhere stays readable and gets
// another one, what has none is told by name, and what comes back fits in again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/unique_fd.h"
#include "tests/mount/copies_fixture.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class VolumeLossTest : public CopiesTest {
 protected:
  void SetUp() override {
    MountedOptions options;
    options.expected_errors = {"volume v1", "may be, an older content"};
    StartCluster(options);
  }
  // 0, or the errno of opening or reading it. In a mount that has had no file open yet: what was
  // open a moment ago can be read as long as the object can.
  int ReadError(const std::string& name) const {
    const auto mount = mounted_->MountAgain("fresh");
    EXPECT_TRUE(mount) << mount.error().message();
    if (!mount) return -1;
    const UniqueFd fd(::open(((*mount)->path() + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    char byte;
    if (!fd || ::read(fd.get(), &byte, 1) < 0) return errno;
    return 0;
  }
  std::vector<std::string> Lost() const {
    std::vector<std::string> paths;
    const nlohmann::json files = Json({"where", "-r", "--lost", mounted_->path()});
    for (const auto& file : files) paths.push_back(file["path"]);
    return paths;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, VolumeLossTest, testing::ValuesIn(ShapesInTime()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(VolumeLossTest, WhatIsAwayTooLongIsMadeAnewAndWhatReturnsFitsIn) {
  constexpr int kFiles = 12;
  const auto name = [](int i) { return "d/f" + std::to_string(i); };
  stdfs::create_directory(Path("d"));
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  Pxfs({"copies", "set", "grace=1h"});
  for (int i = 0; i < kFiles; ++i) WriteText(Path(name(i)), "content " + std::to_string(i));
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  AwaitQuiet();
  int on_v1 = 0;
  for (int i = 0; i < kFiles; ++i) on_v1 += Volumes(name(i)).contains("v1") ? 1 : 0;
  ASSERT_GT(on_v1, 0);

  Vanish(0);
  EXPECT_EQ(Replication()["under_replicated"]["files"], on_v1);
  EXPECT_EQ(Replication()["lost"]["files"], 0);
  for (int i = 0; i < kFiles; ++i)
    EXPECT_EQ(ReadText(Path(name(i))), "content " + std::to_string(i));
  // It may return: nothing is copied for its sake, but what is written anew has its copies.
  WriteText(Path(name(0)), "rewritten");
  WriteText(Path("d/new"), "new");
  AwaitCopies(name(0), 2);
  AwaitCopies("d/new", 2);
  AwaitQuiet();
  EXPECT_GE(Replication()["under_replicated"]["files"], on_v1 - 1);
  Pxfs({"copies", "set", "grace=0"});
  EXPECT_TRUE(Eventually([&] { return Replication()["under_replicated"]["files"] == 0; }));
  for (int i = 0; i < kFiles; ++i) EXPECT_EQ(Volumes(name(i)).size(), 2u) << i;

  // One too many each now, and stale ones.
  Return(0);
  EXPECT_TRUE(Eventually([&] {
    for (int i = 0; i < kFiles; ++i)
      if (Replicas(name(i)).size() != 2) return false;
    return true;
  })) << Json({"where", "-r", Path("d")}).dump(1);
  AwaitQuiet();
  EXPECT_EQ(Replication()["stale"]["files"], 0);
  for (int i = 0; i < kFiles; ++i) EXPECT_EQ(Volumes(name(i)).size(), 2u) << i;
  EXPECT_EQ(ReadText(Path(name(0))), "rewritten");
}

TEST_P(VolumeLossTest, AVolumeThatIsBackAsItWasLongBeforeIsMended) {
  constexpr int kFiles = 8;
  const auto name = [](int i) { return "d/f" + std::to_string(i); };
  const std::string root = mounted_->cluster().volumes()[0], snapshot = root + ".old";
  stdfs::create_directory(Path("d"));
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  WriteText(Path("removed"), "removed");
  Pxfs({"replicate", Path("removed"), "--to", "v1", "--wait"});
  for (int i = 0; i < kFiles; ++i) WriteText(Path(name(i)), "old content " + std::to_string(i));
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  AwaitQuiet();
  // Files of an earlier opening of the store: objects of newer ones are never taken for nobody's.
  ASSERT_STATUS(mounted_->Stop());
  ASSERT_STATUS(RunOk({"cp", "-a", root, snapshot}));
  ASSERT_STATUS(mounted_->Restart());

  stdfs::remove(Path("removed"));
  for (int i = 0; i < kFiles; ++i) WriteText(Path(name(i)), "new content " + std::to_string(i));
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  AwaitQuiet();
  Vanish(0);
  stdfs::rename(root + ".away", root + ".newer");
  stdfs::rename(snapshot, root);
  EXPECT_TRUE(AwaitState("v1", "online"));
  AwaitQuiet();
  // Volumes() compares each object with the file.
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_EQ(ReadText(Path(name(i))), "new content " + std::to_string(i));
    EXPECT_EQ(Volumes(name(i)).size(), 2u) << i;
  }
  EXPECT_FALSE(mounted_->LoggedLines("volume v1 is back with another content").empty());
  uint64_t objects = 0;
  for (const auto& entry : stdfs::recursive_directory_iterator(root + "/objects"))
    objects += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(objects, ObjectsOn("v1"));
}

// What makes the volume come back as it was, in the moment of its return: what looks at it is held
// up by the limit of its rate.
class ReturnedVolumeTest : public VolumeLossTest {
 protected:
  bool IsUnsettled(const std::string& volume) const {
    const nlohmann::json all = Json({"volume", "ls"});
    return std::any_of(all.begin(), all.end(), [&](const auto& listed) {
      return listed["name"] == volume && listed["unsettled"] == true;
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, ReturnedVolumeTest,
                         testing::Values(Shape::kEmbedded, Shape::kDaemon),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(ReturnedVolumeTest, OldContentIsNotReadInTheMomentOfItsReturn) {
  constexpr int kFiles = 8;
  const auto name = [](int i) { return "d/f" + std::to_string(i); };
  const auto content = [](const char* age, int i) {
    return std::string(age) + " content " + std::to_string(i);
  };
  const std::string root = mounted_->cluster().volumes()[0], snapshot = root + ".old";
  for (const char* directory : {"d", "alone"}) {
    stdfs::create_directory(Path(directory));
    Pxfs({"policy", "set", Path(directory), "pin=v1"});
  }
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  // As many as are looked at at a time, and before all others.
  for (const char* held : {"d/held0", "d/held1"}) WriteText(Path(held), std::string(3 << 20, 'a'));
  for (int i = 0; i < kFiles; ++i) WriteText(Path(name(i)), content("old", i));
  for (const char* file : {"alone/old", "alone/same", "alone/touched"})
    WriteText(Path(file), "old");
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  for (const char* held : {"d/held0", "d/held1"}) AwaitCopies(held, 2);
  AwaitQuiet();
  Pxfs({"scrub", Path("alone/touched")});  // its checksum is known from now on
  ASSERT_STATUS(RunOk({"cp", "-a", root, snapshot}));

  for (const char* held : {"d/held0", "d/held1"}) WriteText(Path(held), std::string(3 << 20, 'b'));
  for (int i = 0; i < kFiles; ++i) WriteText(Path(name(i)), content("new", i));
  WriteText(Path("alone/old"), "new");
  stdfs::last_write_time(Path("alone/touched"), stdfs::file_time_type::clock::now());
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  for (const char* held : {"d/held0", "d/held1"}) AwaitCopies(held, 2);
  AwaitQuiet();
  Pxfs({"volume", "set", "v1", "rate=1K"});
  Vanish(0);
  stdfs::rename(root + ".away", root + ".newer");
  stdfs::rename(snapshot, root);
  EXPECT_TRUE(AwaitState("v1", "online"));

  const auto fresh = mounted_->MountAgain("returned");
  ASSERT_TRUE(fresh) << fresh.error().message();
  for (const std::string& mount : {(*fresh)->path(), mounted_->path()}) {
    const auto at = [&](const std::string& file) { return mount + "/" + file; };
    for (int i = 0; i < kFiles; ++i) EXPECT_EQ(ReadText(at(name(i))), content("new", i)) << mount;
    EXPECT_EQ(ReadText(at("alone/same")), "old");
    EXPECT_EQ(ReadText(at("alone/touched")), "old");
  }
  EXPECT_EQ(ReadError("alone/old"), EIO);
  for (const int flags : {O_RDONLY, O_WRONLY}) {
    const UniqueFd old(::open(((*fresh)->path() + "/alone/old").c_str(), flags | O_CLOEXEC));
    EXPECT_FALSE(old) << flags;
    EXPECT_EQ(errno, EIO);
  }
  // A writer goes on with what is good, and not with what would make that stale.
  for (int i = 0; i < 2; ++i) {
    const UniqueFd writer(::open(((*fresh)->path() + "/" + name(i)).c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(writer);
    ASSERT_EQ(::pwrite(writer.get(), "NEW", 3, 0), 3);
  }
  EXPECT_TRUE(IsUnsettled("v1"));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(ReadText(Path(name(i))), "NEW content " + std::to_string(i));
  EXPECT_FALSE(mounted_->LoggedLines("may be, an older content").empty());

  // What nothing else is there of stays closed, as long as it is there.
  Pxfs({"volume", "set", "v1", "rate=0"});
  EXPECT_TRUE(Eventually(
      [&] { return !mounted_->LoggedLines("/alone/old: what volume v1 is back with").empty(); },
      kPatience));
  for (const char* held : {"d/held0", "d/held1"}) {
    // The old one is dropped, and made anew.
    EXPECT_TRUE(Eventually(
        [&] {
          int good = 0;
          const nlohmann::json replicas = Replicas(held);
          for (const auto& replica : replicas)
            good += replica["state"] == "current" &&
                    ReadText(replica["object"]) == std::string(3 << 20, 'b');
          return good == 2 && replicas.size() == 2;
        },
        kPatience));
    EXPECT_TRUE(ReadText(Path(held)) == std::string(3 << 20, 'b'));
  }
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  EXPECT_EQ(ReadError("alone/old"), EIO);
  EXPECT_TRUE(IsUnsettled("v1"));
  EXPECT_STATUS((*fresh)->Stop());
  ASSERT_EQ(::unlink(Path("alone/old").c_str()), 0);
  if (LongRun()) {
    EXPECT_TRUE(Eventually([&] { return !IsUnsettled("v1"); }, kPatience));
  }
}

TEST_P(VolumeLossTest, ADiskThatIsLostForGood) {
  constexpr int kFiles = 6;
  const auto name = [](int i) { return "d/f" + std::to_string(i); };
  for (const char* directory : {"d", "single", "other"}) stdfs::create_directory(Path(directory));
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  Pxfs({"policy", "set", Path("single"), "pin=v1"});
  Pxfs({"policy", "set", Path("other"), "pin=v2"});
  for (int i = 0; i < kFiles; ++i) WriteText(Path(name(i)), "content " + std::to_string(i));
  for (const char* file : {"single/a", "single/b", "other/c"}) WriteText(Path(file), file);
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  AwaitQuiet();

  Vanish(0);
  for (int i = 0; i < kFiles; ++i)
    EXPECT_EQ(ReadText(Path(name(i))), "content " + std::to_string(i));
  EXPECT_EQ(ReadText(Path("other/c")), "other/c");
  EXPECT_EQ(ReadError("single/a"), EIO);
  EXPECT_FALSE(mounted_->LoggedLines("volume v1 is offline").empty());
  EXPECT_THAT(Lost(), UnorderedElementsAre("/single/a", "/single/b"));
  nlohmann::json replication = Replication();
  EXPECT_EQ(replication["lost"]["files"], 2);
  EXPECT_EQ(replication["lost"]["bytes"], 16);
  ASSERT_EQ(replication["lost_on"].size(), 1u);
  EXPECT_EQ(replication["lost_on"][0]["volume"], "v1");
  EXPECT_EQ(replication["lost_on"][0]["removed"], false);
  EXPECT_THAT(Pxfs({"status"}), HasSubstr("2 files (16 B) cannot be read"));

  EXPECT_THAT(Refused({"volume", "rm", "v1"}), HasSubstr("--lost"));
  EXPECT_THAT(Refused({"volume", "rm", "v2", "--lost"}), HasSubstr("can be reached"));
  EXPECT_THAT(Pxfs({"volume", "rm", "v1", "--lost"}), HasSubstr("2 files had no other copy"));
  EXPECT_EQ(Json({"volume", "ls"}).size(), 2u);
  EXPECT_THAT(Lost(), UnorderedElementsAre("/single/a", "/single/b"));
  const nlohmann::json replica = Replicas("single/a").at(0);
  EXPECT_EQ(replica["state"], "missing");
  EXPECT_EQ(replica["volume"], "v1");
  EXPECT_EQ(Replication()["lost_on"][0]["removed"], true);
  EXPECT_EQ(ReadError("single/b"), EIO);
  EXPECT_FALSE(mounted_->LoggedLines("lost with the volume v1").empty());

  // Removed by the user, nothing of it is left; and a new disk takes the place.
  ASSERT_EQ(::unlink(Path("single/a").c_str()), 0);
  ASSERT_EQ(::unlink(Path("single/b").c_str()), 0);
  EXPECT_EQ(Replication()["lost"]["files"], 0);
  Pxfs({"volume", "add", mounted_->cluster().scratch() / "new" + ",name=v1"});
  WriteText(Path("single/a"), "again");
  EXPECT_EQ(Volumes("single/a"), std::set<std::string>{"v1"});
  for (int i = 0; i < kFiles; ++i) AwaitCopies(name(i), 2);
  AwaitQuiet();
}

TEST_P(VolumeLossTest, FsckForgetsAnObjectThatIsLostAndACopyIsMadeAnew) {
  stdfs::create_directory(Path("d"));
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  for (const bool primary : {true, false}) {
    const std::string name = primary ? "d/primary" : "d/copy";
    WriteText(Path(name), "content");
    AwaitCopies(name, 2);
    AwaitQuiet();
    const std::string object = Replicas(name).at(primary ? 0 : 1)["object"];
    ASSERT_STATUS(mounted_->Stop());
    ASSERT_TRUE(stdfs::remove(object));
    const Argv fsck = {Program("pxfs"), "--cluster", mounted_->cluster().directory(), "fsck",
                       "--repair"};
    const auto repaired = RunProgram(fsck);
    ASSERT_TRUE(repaired);
    EXPECT_EQ(repaired->status, 1) << repaired->output;
    EXPECT_THAT(repaired->output, HasSubstr("lost-object: /" + name));
    const auto clean = RunProgram(fsck);
    EXPECT_EQ(clean->output, "clean\n");
    ASSERT_STATUS(mounted_->Restart());
    EXPECT_EQ(ReadText(Path(name)), "content");
    AwaitCopies(name, 2);
    AwaitQuiet();
  }
}

TEST_P(VolumeLossTest, AVolumeIsRemovedOnceItIsEmpty) {
  for (int i = 0; i < 20; ++i) WriteText(Path("f" + std::to_string(i)), "content");
  ASSERT_GT(ObjectsOn("v2"), 0u);
  EXPECT_THAT(Refused({"volume", "rm", "v2"}), HasSubstr("pxfs volume drain v2"));
  Pxfs({"volume", "drain", "v2", "--wait"});
  Pxfs({"volume", "rm", "v2"});
  EXPECT_EQ(Json({"volume", "ls"}).size(), 2u);
  EXPECT_THAT(Refused({"volume", "rm", "v2"}), HasSubstr("no such volume"));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ReadText(Path("f" + std::to_string(i))), "content");
  // Its directory is nobody's now.
  Pxfs({"volume", "add", mounted_->cluster().volumes()[1] + ",name=again"});
  EXPECT_EQ(Json({"volume", "ls"}).size(), 3u);
}

}  // namespace
}  // namespace pxfs::test
