#include <sys/stat.h>

#include "tests/cli/cli_fixture.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using FormatTest = CliTest;

TEST_F(FormatTest, MakesWhatItSays) {
  const nlohmann::json made =
      PxfsJson({"format", cluster_, "--name", "lab", "--volume", Volume(1), "--volume",
                Volume(2) + ",name=fast,label=tier=ssd,label=rack=2", "--volume", Volume(3)})
          .at("volumes");
  EXPECT_EQ(made.size(), 3u);
  const nlohmann::json volumes = PxfsJson({"volume", "ls"});
  EXPECT_EQ(volumes[0]["name"], "v1");
  EXPECT_EQ(volumes[1]["name"], "fast");
  EXPECT_EQ(volumes[1]["labels"], (nlohmann::json{{"tier", "ssd"}, {"rack", "2"}}));
  EXPECT_EQ(volumes[2]["name"], "v3");
  EXPECT_EQ(volumes[2]["path"], Volume(3));
  EXPECT_EQ(PxfsJson({"status"})["cluster"]["name"], "lab");
  struct stat st;
  ASSERT_EQ(::stat((cluster_ + "/meta").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 077, 0u) << "the store is nobody else's to read";
}

TEST_F(FormatTest, WarnsOfVolumesOnOneFileSystem) {
  EXPECT_THAT(Pxfs({"format", cluster_, "--volume", Volume(1), "--volume", Volume(2)}).errors,
              HasSubstr("warning: volumes v1, v2 share one file system"));
}

TEST_F(FormatTest, VolumesMayLieInTheClusterDirectory) {
  PxfsOk(
      {"format", cluster_, "--volume", cluster_ + "/disks/a", "--volume", cluster_ + "/disks/b"});
  EXPECT_EQ(PxfsJson({"df"})["volumes"].size(), 2u);
}

TEST_F(FormatTest, RefusesADirectoryThatIsNotEmpty) {
  std::filesystem::create_directory(cluster_);
  WriteText(cluster_ + "/precious", "x");
  ExpectRefused({"format", cluster_, "--volume", Volume(1)}, 1,
                {cluster_, "not empty", "precious"});
  EXPECT_THAT(Entries(cluster_), UnorderedElementsAre("precious"));
  EXPECT_FALSE(std::filesystem::exists(Volume(1)));
}

TEST_F(FormatTest, RefusesAClusterDirectory) {
  Format(1);
  ExpectRefused({"format", cluster_, "--volume", Volume(2)}, 1,
                {cluster_, "is a cluster directory already"});
  EXPECT_FALSE(std::filesystem::exists(Volume(2)));
  EXPECT_EQ(PxfsJson({"volume", "ls"}).size(), 1u);
}

TEST_F(FormatTest, LeavesNothingWhenAVolumeCannotBeMade) {
  std::filesystem::create_directories(Volume(2));
  WriteText(Volume(2) + "/precious", "x");
  const std::string deep = scratch_ / "new/deep/volume";
  ExpectRefused({"format", scratch_ / "a/b/cluster", "--volume", deep, "--volume", Volume(2)}, 1,
                {Volume(2), "not empty", "precious"});
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "a"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "new"));
  EXPECT_THAT(Entries(Volume(2)), UnorderedElementsAre("precious"));

  std::filesystem::create_directory(cluster_);
  ExpectRefused({"format", cluster_, "--volume", Volume(1), "--volume", Volume(2)}, 1, {Volume(2)});
  EXPECT_THAT(Entries(cluster_), IsEmpty());
}

TEST_F(FormatTest, RefusesAVolumeOfAnotherCluster) {
  Format(1);
  const std::string uuid = PxfsJson({"status"})["cluster"]["uuid"];
  ExpectRefused({"format", scratch_ / "other", "--volume", Volume(1)}, 1,
                {Volume(1), "is a volume (v1) of cluster " + uuid});
}

TEST_F(FormatTest, RefusesVolumesThatDoNotGoTogether) {
  const auto refuse = [&](const std::vector<std::string>& volumes,
                          const std::vector<std::string>& words) {
    Argv arguments = {"format", cluster_};
    for (const std::string& volume : volumes) {
      arguments.push_back("--volume");
      arguments.push_back(volume);
    }
    ExpectRefused(arguments, 1, words);
    EXPECT_FALSE(std::filesystem::exists(cluster_));
    EXPECT_FALSE(std::filesystem::exists(Volume(1)));
  };
  refuse({Volume(1), Volume(1)}, {"given twice"});
  refuse({Volume(1), Volume(1) + "/inner"}, {"overlaps"});
  refuse({Volume(1) + ",name=a", Volume(2) + ",name=a"}, {"'a'"});
  refuse({cluster_}, {cluster_, "lies in it"});
  refuse({scratch_.path()}, {"lies in it"});
  refuse({cluster_ + "/meta/v"}, {"keeps its own data there"});
  refuse({Volume(1) + ",size=3"}, {"'size=3'", "name=N"});
  refuse({Volume(1) + ",name="}, {"volume name"});
  refuse({Volume(1) + ",name=a/b"}, {"a/b"});
  refuse({Volume(1) + ",label=ssd"}, {"label=ssd", "label=KEY=VALUE"});
  refuse({Volume(1) + ",label=copies=2"}, {"'copies'"});
  refuse({",name=x"}, {"no path"});
}

TEST_F(FormatTest, UsageErrors) {
  ExpectRefused({"format", cluster_}, 2, {"--volume"});
  ExpectRefused({"format"}, 2, {"DIR"});
  ExpectRefused({"format", cluster_, "--volume", Volume(1), "--fast"}, 2,
                {"--fast", "pxfs format --help"});
  EXPECT_FALSE(std::filesystem::exists(cluster_));
}

}  // namespace
}  // namespace pxfs::test
