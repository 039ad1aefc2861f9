// Objects that went bad on their disks: found by their checksums, replaced by a good copy, or told
// by path.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "base/unique_fd.h"
#include "tests/mount/copies_fixture.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;
using testing::HasSubstr;

class ScrubTest : public CopiesTest {
 protected:
  void SetUp() override {
    MountedOptions options;
    options.expected_errors = {"damaged on volume"};
    StartCluster(options);
    stdfs::create_directory(Path("d"));
    Pxfs({"policy", "set", Path("d"), "copies=2"});
  }
  // A byte of the object of the primary, or of the first copy, is another one.
  void Damage(const std::string& name, size_t replica) const {
    const std::string object = Replicas(name).at(replica)["object"];
    const UniqueFd fd(::open(object.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(fd) << object;
    char byte = 0;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, 0), 1);
    byte ^= 1;
    ASSERT_EQ(::pwrite(fd.get(), &byte, 1, 0), 1);
  }
  std::string MakeWithCopies(const std::string& name) const {
    const std::string content = "content of " + name;
    WriteText(Path(name), content);
    AwaitCopies(name, 2);
    AwaitQuiet();
    return content;
  }
  // Two good copies.
  bool Whole(const std::string& name, const std::string& content) const {
    const nlohmann::json replicas = Replicas(name);
    size_t good = 0;
    for (const auto& replica : replicas)
      if (replica["state"] == "current" && ReadText(replica["object"]) == content) ++good;
    return good == 2 && replicas.size() == 2;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, ScrubTest, testing::ValuesIn(ShapesInTime()),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(ScrubTest, ADamagedCopyIsReplacedByAGoodOne) {
  const std::string first = MakeWithCopies("d/primary"), second = MakeWithCopies("d/copy"),
                    third = MakeWithCopies("d/gone");
  Damage("d/primary", 0);
  Damage("d/copy", 1);
  ASSERT_TRUE(stdfs::remove(std::string(Replicas("d/gone").at(1)["object"])));
  const std::string said = Pxfs({"scrub", Path("d")});
  EXPECT_THAT(said, HasSubstr("/d/primary: on volume "));
  EXPECT_THAT(said, HasSubstr("/d/copy: on volume "));
  EXPECT_THAT(said, HasSubstr("its object is not there"));
  EXPECT_THAT(said, HasSubstr("3 objects damaged and replaced"));
  EXPECT_TRUE(Eventually([&] {
    return Whole("d/primary", first) && Whole("d/copy", second) && Whole("d/gone", third);
  })) << Json({"where", "-r", Path("d")}).dump(1);
  AwaitQuiet();
  EXPECT_EQ(ReadText(Path("d/primary")), first);
  const nlohmann::json again = Json({"scrub"});
  EXPECT_EQ(again["objects"], 6);
  EXPECT_EQ(again["replaced"], 0);
  EXPECT_GE(Replicas("d/copy").at(0)["verified"], ::time(nullptr) - 3600);
}

TEST_P(ScrubTest, WhatCannotBeRepairedIsToldByPath) {
  WriteText(Path("alone"), "the only copy");
  EXPECT_EQ(Json({"scrub", Path("alone")})["unrepairable"], 0);  // now its checksum is known
  Damage("alone", 0);
  EXPECT_THAT(Refused({"scrub", Path("alone")}), HasSubstr("/alone: on volume "));
  EXPECT_EQ(Replicas("alone").at(0)["state"], "current") << "it is all there is";
  // Written anew, it is good again.
  WriteText(Path("alone"), "another content");
  EXPECT_EQ(Json({"scrub", Path("alone")})["unrepairable"], 0);
}

TEST_P(ScrubTest, TheBackgroundFindsItToo) {
  const std::string content = MakeWithCopies("d/f");
  WriteText(Path("alone"), "the only copy");
  Pxfs({"scrub", Path("alone")});
  Damage("d/f", 0);
  Damage("alone", 0);
  Pxfs({"copies", "set", "scrub=1s", "scrub-rate=0"});
  EXPECT_TRUE(Eventually([&] { return Whole("d/f", content); }, kPatience));
  EXPECT_TRUE(Eventually(
      [&] { return !mounted_->LoggedLines("/alone: damaged on volume").empty(); }, kPatience));
  AwaitQuiet();
}

}  // namespace
}  // namespace pxfs::test
