// What commands and virtual xattrs say about files and mounts, in the shapes that scripts rely on.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "tests/cli/mounted_fixture.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;
using testing::Not;

using ReportTest = MountedCliTest;

std::set<std::string> Keys(const nlohmann::json& json) {
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  return keys;
}

TEST_F(ReportTest, WhereAndLocation) {
  FormatAndMount(2);
  std::filesystem::create_directories(mnt_ + "/dir");
  WriteText(mnt_ + "/dir/file", "hello");
  const nlohmann::json where = PxfsJson({"where", mnt_ + "/dir/file"});
  ASSERT_EQ(where.size(), 1u);
  EXPECT_EQ(Keys(where[0]),
            (std::set<std::string>{"path", "inode", "size", "generation", "replicas"}));
  EXPECT_EQ(where[0]["path"], "/dir/file");
  EXPECT_EQ(where[0]["size"], 5);
  struct stat st;
  ASSERT_EQ(::stat((mnt_ + "/dir/file").c_str(), &st), 0);
  EXPECT_EQ(where[0]["inode"], st.st_ino);
  ASSERT_EQ(where[0]["replicas"].size(), 1u);
  const nlohmann::json replica = where[0]["replicas"][0];
  EXPECT_EQ(Keys(replica),
            (std::set<std::string>{"node", "volume", "object", "generation", "state", "primary"}));
  EXPECT_EQ(replica["state"], "current");
  EXPECT_EQ(replica["primary"], true);
  EXPECT_EQ(replica["generation"], where[0]["generation"]);
  // The object is the content, where it says.
  EXPECT_EQ(ReadText(replica["object"]), "hello");
  const std::string root = replica["volume"] == "v1" ? Volume(1) : Volume(2);
  EXPECT_EQ(replica["object"].get<std::string>().substr(0, root.size()), root);

  const auto location = nlohmann::json::parse(Xattr(mnt_ + "/dir/file", "user.pxfs.location"));
  EXPECT_EQ(location, where[0]);
  EXPECT_EQ(Xattr(mnt_ + "/dir/file", "user.pxfs.fullpath"), replica["object"]);
  EXPECT_EQ(Xattr(mnt_ + "/dir/file", "user.pxfs.basepath"), root);
  EXPECT_EQ(Xattr(mnt_ + "/dir/file", "user.pxfs.path"), "/dir/file");
  EXPECT_EQ(Xattr(mnt_ + "/dir/file", "user.pxfs.nonsense"), "errno " + std::to_string(ENODATA));
  // Directories have no object; and nothing of this is listed, so that copies do not carry it.
  EXPECT_EQ(Xattr(mnt_ + "/dir", "user.pxfs.fullpath"), "errno " + std::to_string(ENODATA));
  char names[256];
  EXPECT_EQ(::listxattr((mnt_ + "/dir/file").c_str(), names, sizeof names), 0);

  const std::string text = PxfsOk({"where", mnt_ + "/dir/file"});
  EXPECT_THAT(text, HasSubstr("/dir/file  "));
  EXPECT_THAT(text, HasSubstr(replica["object"].get<std::string>()));
  EXPECT_THAT(PxfsOk({"where", "-l", mnt_ + "/dir/file"}), HasSubstr("current, primary"));
}

TEST_F(ReportTest, WhereOfManyGoesOnAfterOneThatIsNot) {
  FormatAndMount(1);
  WriteText(mnt_ + "/a", "1");
  WriteText(mnt_ + "/b", "2");
  const Outcome outcome = Pxfs({"where", mnt_ + "/a", mnt_ + "/none", mnt_ + "/b", "--json"});
  EXPECT_EQ(outcome.status, 1);
  ExpectOneLine(outcome.errors, {mnt_ + "/none", "no such file"});
  EXPECT_EQ(nlohmann::json::parse(outcome.output).size(), 2u);
}

TEST_F(ReportTest, WhereSaysWhatIsMissing) {
  FormatAndMount(1);
  WriteText(mnt_ + "/file", "hello");
  const std::string object = PxfsJson({"where", mnt_ + "/file"})[0]["replicas"][0]["object"];
  ASSERT_EQ(::unlink(object.c_str()), 0);
  EXPECT_EQ(PxfsJson({"where", mnt_ + "/file"})[0]["replicas"][0]["state"], "missing");
  EXPECT_THAT(PxfsOk({"where", mnt_ + "/file"}), HasSubstr("missing"));
}

TEST_F(ReportTest, NamesOfAnyBytes) {
  FormatAndMount(1);
  const std::string name = "line\nbreak \xff\xfe tab\t\"quoted\"";
  WriteText(mnt_ + "/" + name, "x");
  const nlohmann::json where = PxfsJson({"where", "-r", mnt_});
  ASSERT_EQ(where.size(), 1u);
  EXPECT_EQ(where[0]["path"], "/line\nbreak \xEF\xBF\xBD\xEF\xBF\xBD tab\t\"quoted\"");
  EXPECT_EQ(where[0]["path_hex"],
            "2f6c696e650a627265616b20fffe207461620922"
            "71756f74656422");
  const std::string text = PxfsOk({"where", "-r", mnt_});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_THAT(text, HasSubstr("line\\nbreak"));
  EXPECT_EQ(PxfsJson({"info", mnt_ + "/" + name})["size"], 1);
}

TEST_F(ReportTest, InfoShowsWhatStatShows) {
  FormatAndMount(1);
  WriteText(mnt_ + "/file", "hello");
  ASSERT_EQ(::chown((mnt_ + "/file").c_str(), 1234, 5678), 0);
  ASSERT_EQ(::chmod((mnt_ + "/file").c_str(), 04751), 0);
  const struct timespec times[2] = {{1000, 1}, {-5, 999999999}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (mnt_ + "/file").c_str(), times, 0), 0);
  ASSERT_EQ(::link((mnt_ + "/file").c_str(), (mnt_ + "/second").c_str()), 0);
  const nlohmann::json info = PxfsJson({"info", mnt_ + "/file"});
  for (const char* key : {"path", "inode", "size", "generation", "replicas", "type", "mode", "uid",
                          "gid", "nlink", "blocks", "atime", "mtime", "ctime", "btime", "policy"})
    EXPECT_TRUE(info.contains(key)) << key;
  EXPECT_EQ(info["type"], "file");
  EXPECT_EQ(info["mode"], "4751");
  EXPECT_EQ(info["uid"], 1234);
  EXPECT_EQ(info["gid"], 5678);
  EXPECT_EQ(info["nlink"], 2);
  EXPECT_EQ(info["mtime"]["seconds"], -5);
  EXPECT_EQ(info["mtime"]["nanoseconds"], 999999999);
  EXPECT_EQ(info["policy"]["own"], "");
  EXPECT_THAT(info["policy"]["effective"].get<std::string>(), HasSubstr("placement=spread"));
  const std::string text = PxfsOk({"info", mnt_ + "/file"});
  EXPECT_THAT(text, HasSubstr("4751, uid 1234, gid 5678"));
  EXPECT_THAT(text, HasSubstr("2 links"));

  ASSERT_EQ(::mkfifo((mnt_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(PxfsJson({"info", mnt_ + "/fifo"})["type"], "fifo");
  EXPECT_EQ(PxfsJson({"info", mnt_})["type"], "directory");
}

TEST_F(ReportTest, StatusNamesTheMount) {
  FormatAndMount(1);
  const nlohmann::json status = PxfsJson({"status"});
  ASSERT_EQ(status["mounts"].size(), 1u);
  const nlohmann::json mount = status["mounts"][0];
  EXPECT_EQ(Keys(mount), (std::set<std::string>{"mountpoint", "supervisor_pid", "daemon_pid",
                                                "transport", "passthrough", "usage"}));
  for (const char* share : {"open", "idle", "descriptors", "buffer_bytes"}) {
    EXPECT_EQ(Keys(mount["usage"][share]), (std::set<std::string>{"used", "max"})) << share;
    EXPECT_GT(mount["usage"][share]["max"], 0) << share;
  }
  EXPECT_EQ(mount["mountpoint"], mnt_);
  EXPECT_EQ(mount["supervisor_pid"], mount_->record().supervisor_pid);
  EXPECT_EQ(mount["daemon_pid"], mount_->record().daemon_pid);
  EXPECT_EQ(mount["passthrough"], mount_->record().passthrough);
  EXPECT_EQ(status["cluster"]["served"], true);
  EXPECT_EQ(status["jobs"]["queued"], 0);
  EXPECT_EQ(status["jobs"]["succeeded"], 0);
  EXPECT_THAT(PxfsOk({"status"}), HasSubstr("mount    " + mnt_));
  EXPECT_THAT(PxfsOk({"status"}), HasSubstr(" open (at most 1048576), "));
  Unmount();
  EXPECT_EQ(PxfsJson({"status"})["mounts"], nlohmann::json::array());
}

TEST_F(ReportTest, DfAndStatusCountObjects) {
  FormatAndMount(2);
  for (int i = 0; i < 20; ++i) WriteText(mnt_ + "/" + std::to_string(i), std::string(1000, 'x'));
  const nlohmann::json df = PxfsJson({"df"});
  EXPECT_EQ(Keys(df), (std::set<std::string>{"volumes", "total", "free", "available", "inodes"}));
  uint64_t objects = 0, bytes = 0;
  for (const nlohmann::json& volume : df["volumes"]) {
    EXPECT_GT(volume["objects"], 0) << "spread over both";
    objects += volume["objects"].get<uint64_t>();
    bytes += volume["object_bytes"].get<uint64_t>();
  }
  EXPECT_EQ(objects, 20u);
  EXPECT_EQ(bytes, 20'000u);
  EXPECT_EQ(df["inodes"], 21);  // with the root
}

TEST_F(ReportTest, PoliciesThroughXattrs) {
  FormatAndMount(2);
  std::filesystem::create_directories(mnt_ + "/pinned/below");
  EXPECT_THAT(Xattr(mnt_ + "/pinned", "user.pxfs.policy"), HasSubstr("placement=spread"));
  const std::string policy = "pin=v2 copies=1";
  ASSERT_EQ(
      ::setxattr((mnt_ + "/pinned").c_str(), "user.pxfs.policy", policy.data(), policy.size(), 0),
      0);
  EXPECT_EQ(PxfsJson({"policy", "get", mnt_ + "/pinned"})["own"], "placement=pin pin=v2 copies=1");
  EXPECT_EQ(PxfsJson({"policy", "get", mnt_ + "/pinned/below"})["set_on"], "/pinned");
  EXPECT_THAT(Xattr(mnt_ + "/pinned/below", "user.pxfs.policy"), HasSubstr("pin=v2"));
  for (int i = 0; i < 8; ++i) {
    const std::string file = mnt_ + "/pinned/below/" + std::to_string(i);
    WriteText(file, "x");
    EXPECT_EQ(Xattr(file, "user.pxfs.basepath"), Volume(2));
  }
  // Nonsense changes nothing.
  ASSERT_EQ(::setxattr((mnt_ + "/pinned").c_str(), "user.pxfs.policy", "pin=v9", 6, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  ASSERT_EQ(::setxattr((mnt_ + "/pinned").c_str(), "user.pxfs.location", "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  PxfsOk({"policy", "unset", mnt_ + "/pinned"});
  EXPECT_THAT(Xattr(mnt_ + "/pinned", "user.pxfs.policy"), HasSubstr("placement=spread"));
}

TEST_F(ReportTest, PoliciesOfFilesAreThoseOfTheirDirectories) {
  FormatAndMount(1);
  WriteText(mnt_ + "/file", "x");
  ExpectRefused({"policy", "set", mnt_ + "/file", "copies=1"}, 1,
                {mnt_ + "/file", "policies belong to directories"});
  EXPECT_EQ(PxfsJson({"policy", "get", mnt_ + "/file"})["set_on"], "");
}

TEST_F(ReportTest, AVolumeIsAddedWhileMounted) {
  FormatAndMount(1);
  PxfsOk({"volume", "add", Volume(2) + ",name=more"});
  PxfsOk({"policy", "set", mnt_, "pin=more"});
  WriteText(mnt_ + "/file", "hello");
  EXPECT_EQ(Xattr(mnt_ + "/file", "user.pxfs.basepath"), Volume(2));
  EXPECT_EQ(ReadText(mnt_ + "/file"), "hello");
}

}  // namespace
}  // namespace pxfs::test
