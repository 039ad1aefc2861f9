#include <sys/mount.h>

#include "meta/local_service.h"
#include "tests/cli/cli_fixture.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;

using VerbsTest = CliTest;

TEST_F(VerbsTest, HelpForEveryVerb) {
  for (const char* verb : {"format", "status", "df", "version", "volume", "ingest", "where", "info",
                           "policy", "dump", "load"})
    EXPECT_THAT(PxfsOk({verb, "--help"}), HasSubstr(std::string("pxfs ") + verb)) << verb;
  for (const Argv& verb : {Argv{"volume", "add"}, Argv{"volume", "ls"}, Argv{"volume", "set"},
                           Argv{"policy", "set"}, Argv{"policy", "get"}, Argv{"policy", "unset"}})
    EXPECT_THAT(PxfsOk({verb[0], verb[1], "--help"}), HasSubstr("--cluster"));
  EXPECT_THAT(PxfsOk({"--help"}), HasSubstr("ingest"));
}

TEST_F(VerbsTest, Version) {
  const std::string version = PxfsJson({"version"})["version"];
  EXPECT_EQ(PxfsOk({"version"}), "pxfs " + version + "\n");
  EXPECT_EQ(PxfsOk({"--version"}), "pxfs " + version + "\n");
}

TEST_F(VerbsTest, UnknownWordsAreRefusedByName) {
  ExpectRefused({"frobnicate"}, 2, {"frobnicate"});
  ExpectRefused({}, 2, {"subcommand"});
  ExpectRefused({"volume"}, 2, {"volume"});
  ExpectRefused({"volume", "shrink"}, 2, {"shrink"});
  for (const Argv& verb : {Argv{"status"}, Argv{"df"}, Argv{"version"}, Argv{"volume", "ls"}}) {
    Argv arguments = verb;
    arguments.push_back("--no-such-option");
    ExpectRefused(arguments, 2, {"--no-such-option"});
  }
}

TEST_F(VerbsTest, StatusHasTheKeysThatScriptsReadOn) {
  Format(2);
  const nlohmann::json status = PxfsJson({"status"});
  for (const char* key : {"cluster", "volumes", "nodes", "jobs", "replication", "mounts"})
    EXPECT_TRUE(status.contains(key)) << key;
  EXPECT_EQ(status["volumes"].size(), 2u);
  EXPECT_EQ(status["volumes"][0]["state"], "online");
  EXPECT_GT(status["volumes"][0]["total"], 0);
  EXPECT_EQ(status["nodes"][0]["volumes"], 2);
  EXPECT_EQ(status["mounts"], nlohmann::json::array());
  EXPECT_EQ(status["cluster"]["served"], false);
  EXPECT_THAT(PxfsOk({"status"}), HasSubstr("not mounted"));
}

TEST_F(VerbsTest, StatusPassesOverMountsThatAreGone) {
  Format(1);
  std::filesystem::create_directories(cluster_ + "/run/mounts");
  // Process 1 lives, but it is none of pxfs's; and a file that a crash cut short.
  WriteText(
      cluster_ + "/run/mounts/1.json",
      R"({"mountpoint":"/mnt","supervisor_pid":1,"daemon_pid":1,"transport":"dev_fuse","passthrough":true})");
  WriteText(cluster_ + "/run/mounts/2.json", R"({"mountpoint":)");
  EXPECT_EQ(PxfsJson({"status"})["mounts"], nlohmann::json::array());
}

TEST_F(VerbsTest, DfAddsUp) {
  Format(2);
  const nlohmann::json df = PxfsJson({"df"});
  ASSERT_EQ(df["volumes"].size(), 2u);
  EXPECT_EQ(df["volumes"][0]["objects"], 0);
  EXPECT_GT(df["total"], 0);
  EXPECT_LE(df["available"], df["free"]);
  EXPECT_THAT(PxfsOk({"df"}), HasSubstr("total"));
}

TEST_F(VerbsTest, VolumeAddAndSet) {
  Format(1);
  EXPECT_EQ(PxfsJson({"volume", "add", Volume(2) + ",label=tier=hdd"})[0]["name"], "v2");
  ExpectRefused({"volume", "add", Volume(2)}, 1, {Volume(2), "already"});
  ExpectRefused({"volume", "add", Volume(3) + ",name=v1"}, 1, {"'v1'", "taken"});
  EXPECT_FALSE(std::filesystem::exists(Volume(3)));

  PxfsOk({"volume", "set", "v2", "weight=2.5", "reserve=10M", "tier=ssd", "state=readonly"});
  nlohmann::json volume = PxfsJson({"volume", "ls"})[1];
  EXPECT_EQ(volume["weight"], 2.5);
  EXPECT_EQ(volume["reserve"], 10 << 20);
  EXPECT_EQ(volume["labels"], (nlohmann::json{{"tier", "ssd"}}));
  EXPECT_EQ(volume["state"], "readonly");
  PxfsOk({"volume", "set", "v2", "state=online", "tier="});
  volume = PxfsJson({"volume", "ls"})[1];
  EXPECT_EQ(volume["state"], "online");
  EXPECT_EQ(volume["labels"], nlohmann::json::object());
  EXPECT_EQ(volume["weight"], 2.5);

  ExpectRefused({"volume", "set", "v9", "weight=1"}, 1, {"v9", "no such volume"});
  for (const char* change : {"weight=x", "weight=-1", "weight=", "reserve=lots", "state=fine",
                             "weight", "=1", "copies=2", "tier=a,b"})
    ExpectRefused({"volume", "set", "v2", change}, 1, {});
}

TEST_F(VerbsTest, AVolumeThatIsAwayStaysInTheCluster) {
  Format(2);
  std::filesystem::rename(Volume(2), scratch_ / "away");
  nlohmann::json volume = PxfsJson({"volume", "ls"})[1];
  EXPECT_EQ(volume["state"], "offline");
  EXPECT_THAT(volume["problem"], HasSubstr(Volume(2)));
  EXPECT_THAT(PxfsOk({"status"}), HasSubstr("is its disk mounted?"));
  // What is set meanwhile does not make it offline for good.
  PxfsOk({"volume", "set", "v2", "weight=3"});
  std::filesystem::rename(scratch_ / "away", Volume(2));
  volume = PxfsJson({"volume", "ls"})[1];
  EXPECT_EQ(volume["state"], "online");
  EXPECT_EQ(volume["weight"], 3.0);
}

TEST_F(VerbsTest, AForeignDiskInAVolumesPlaceIsNotTouched) {
  Format(2);
  std::filesystem::rename(Volume(2), scratch_ / "away");
  PxfsOk({"format", scratch_ / "other", "--volume", Volume(2)});
  const nlohmann::json volume = PxfsJson({"volume", "ls"})[1];
  EXPECT_EQ(volume["state"], "offline");
  EXPECT_THAT(volume["problem"], HasSubstr("foreign"));
}

TEST_F(VerbsTest, PoliciesAreSetShownAndInherited) {
  Format(2);
  EXPECT_EQ(PxfsJson({"policy", "get", "pxfs:/"})["set_on"], "");
  PxfsOk({"policy", "set", "pxfs:/", "most-free", "copies=2"});
  PxfsOk({"policy", "set", "pxfs:/", "hot=off"});
  nlohmann::json policy = PxfsJson({"policy", "get", "pxfs:/"});
  EXPECT_EQ(policy["own"], "placement=most-free copies=2 hot=off");
  EXPECT_EQ(policy["set_on"], "/");
  PxfsOk({"policy", "set", "pxfs:/", "pin=v2", "copies=1"});
  EXPECT_EQ(PxfsJson({"policy", "get", "pxfs:/"})["own"], "placement=pin pin=v2 copies=1 hot=off");
  PxfsOk({"policy", "unset", "pxfs:/", "placement"});
  EXPECT_EQ(PxfsJson({"policy", "get", "pxfs:/"})["own"], "copies=1 hot=off");
  PxfsOk({"policy", "unset", "pxfs:/"});
  EXPECT_EQ(PxfsJson({"policy", "get", "pxfs:/"})["own"], "");

  ExpectRefused({"policy", "set", "pxfs:/", "pin=v9"}, 1, {"v9"});
  ExpectRefused({"policy", "set", "pxfs:/", "copies=zero"}, 1, {"copies=zero"});
  ExpectRefused({"policy", "set", "pxfs:/none", "copies=1"}, 1, {"pxfs:/none"});
  ExpectRefused({"policy", "unset", "pxfs:/", "copies"}, 1, {"copies"});
}

TEST_F(VerbsTest, PathsThatAreNone) {
  Format(1);
  ExpectRefused({"where", "pxfs:/none"}, 1, {"pxfs:/none", "no such file"});
  ExpectRefused({"where", "pxfs:none"}, 1, {"pxfs:/PATH"});
  ExpectRefused({"where", scratch_ / "outside"}, 1, {"not inside a pxfs mount"});
  ExpectRefused({"where", "pxfs:/"}, 1, {"directory", "-r"});
  EXPECT_EQ(PxfsJson({"where", "-r", "pxfs:/"}), nlohmann::json::array());
  ExpectRefused({"info", "pxfs:/none"}, 1, {"pxfs:/none"});
  EXPECT_EQ(PxfsJson({"info", "pxfs:/"})["type"], "directory");
}

TEST_F(VerbsTest, ClustersThatAreNone) {
  ExpectRefused({"status"}, 1, {cluster_, "not a cluster directory", "pxfs format"});
  Format(1);
  WriteText(cluster_ + "/cluster.json", "{");
  ExpectRefused({"status"}, 1, {cluster_ + "/cluster.json", "not a JSON document"});
  WriteText(cluster_ + "/cluster.json", R"({"version":1,"uuid":7})");
  ExpectRefused({"status"}, 1, {cluster_ + "/cluster.json", "damaged"});
  WriteText(cluster_ + "/cluster.json", R"({"version":99,"uuid":"x"})");
  ExpectRefused({"status"}, 1, {cluster_ + "/cluster.json", "newer"});
}

TEST_F(VerbsTest, AStoreInUseIsSaidSo) {
  Format(1);
  meta::LocalOptions options;
  options.directory = cluster_ + "/meta";
  const auto held = meta::OpenLocalService(options);
  ASSERT_TRUE(held) << held.error().message();
  ExpectRefused({"status", "--lock-wait", "0.1"}, 1, {cluster_, std::to_string(::getpid())});
}

TEST_F(VerbsTest, OrdinaryUsersAreToldWhatToDo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to be somebody else";
  Format(1);
  const auto as_nobody = [&](const Argv& arguments) {
    Argv argv = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Program("pxfs")};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto outcome = RunApart(argv, {"PXFS_CLUSTER=" + cluster_});
    EXPECT_TRUE(outcome);
    return outcome ? *outcome : Outcome{};
  };
  const Outcome status = as_nobody({"status"});
  EXPECT_EQ(status.status, 1);
  EXPECT_THAT(status.errors, HasSubstr("only root may open it"));
  const Outcome ingest = as_nobody({"ingest", "/etc/hostname", "pxfs:/"});
  EXPECT_EQ(ingest.status, 1);
  EXPECT_THAT(ingest.errors, HasSubstr("copy through a mount"));
}

}  // namespace
}  // namespace pxfs::test
