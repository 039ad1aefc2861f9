// pxfs dump and pxfs load: a round trip, what it keeps, and what is refused.
#include "meta/dump.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/bytes.h"
#include "meta/keys.h"
#include "tests/cli/mounted_fixture.h"
#include "tests/support/tree_digest.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;

class DumpTest : public MountedCliTest {
 protected:
  std::string File() const { return scratch_ / "dump"; }
  // A tree with one of everything that metadata can hold.
  void MakeTree() {
    const std::string top = mnt_ + "/tree";
    std::filesystem::create_directories(top + "/deep/er");
    for (int i = 0; i < 300; ++i)
      WriteText(top + "/deep/file" + std::to_string(i), std::string(i * 17 % 5000, 'x'));
    std::filesystem::create_hard_link(top + "/deep/file3", top + "/other name");
    std::filesystem::create_symlink("deep/file4", top + "/link");
    ASSERT_EQ(::mkfifo((top + "/fifo").c_str(), 0640), 0);
    ASSERT_EQ(::setxattr((top + "/deep/file5").c_str(), "user.note", "well kept", 9, 0), 0);
    ASSERT_EQ(::chown((top + "/deep/file6").c_str(), 1234, 4321), 0);
    ASSERT_EQ(::chmod((top + "/deep/file6").c_str(), 04751), 0);
    const timespec times[2] = {{-5, 7}, {5'000'000'000, 999'999'999}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (top + "/deep/file7").c_str(), times, 0), 0);
    PxfsOk({"policy", "set", top + "/deep", "placement=colocate"});
  }
  std::map<std::string, std::string> Digest() {
    const auto digest = DigestTree(mnt_ + "/tree");
    EXPECT_TRUE(digest) << (digest ? "" : digest.error().message());
    return digest ? *digest : std::map<std::string, std::string>();
  }
};

// What lsattr(1) shows.
int FlagsOf(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  int flags = 0;
  EXPECT_EQ(::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags), 0) << path;
  return flags;
}

TEST_F(DumpTest, ALostClusterDirectoryIsMadeAnewOfADumpThatWasMadeWhileMounted) {
  Format(2);
  MountCluster();
  MakeTree();
  const auto before = Digest();
  ASSERT_GT(before.size(), 300u);
  const std::string fixed = mnt_ + "/tree/deep/file8";
  {
    const UniqueFd fd(::open(fixed.c_str(), O_RDONLY | O_CLOEXEC));
    const int flags = FS_IMMUTABLE_FL;
    ASSERT_EQ(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags), 0);
  }
  ASSERT_THAT(PxfsOk({"dump", File()}), HasSubstr("records"));
  // Made after the dump: their objects are there, but nothing knows them any more.
  WriteText(mnt_ + "/later", "lost with the cluster directory");
  Unmount();
  std::filesystem::remove_all(cluster_);
  EXPECT_THAT(PxfsOk({"load", File(), "--cluster", cluster_}), HasSubstr(cluster_));
  MountCluster();
  EXPECT_EQ(Digest(), before);
  EXPECT_EQ(FlagsOf(fixed), FS_IMMUTABLE_FL);
  EXPECT_NE(::truncate(fixed.c_str(), 0), 0);
  EXPECT_EQ(FlagsOf(mnt_ + "/tree/deep/file9"), 0);
  EXPECT_THAT(PxfsOk({"policy", "get", mnt_ + "/tree/deep"}), HasSubstr("colocate"));
  EXPECT_FALSE(std::filesystem::exists(mnt_ + "/later"));
  // A new file never meets the object of one that is forgotten.
  for (int i = 0; i < 50; ++i) {
    const std::string path = mnt_ + "/new" + std::to_string(i);
    WriteText(path, "new");
    EXPECT_EQ(ReadText(path), "new");
  }
  Unmount();
}

TEST_F(DumpTest, AFileThatGotItsNameAfterTheDumpIsNotDeletedByTheLoad) {
  Format(1);
  MountCluster();
  UniqueFd nameless(::open(mnt_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(nameless);
  ASSERT_EQ(::write(nameless.get(), "content", 7), 7);
  PxfsOk({"dump", File()});
  const std::string self = "/proc/self/fd/" + std::to_string(nameless.get());
  ASSERT_EQ(
      ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (mnt_ + "/named").c_str(), AT_SYMLINK_FOLLOW), 0);
  struct stat st;
  ASSERT_EQ(::fstat(nameless.get(), &st), 0);
  nameless.reset();
  Unmount();
  std::filesystem::remove_all(cluster_);
  PxfsOk({"load", File(), "--cluster", cluster_});
  MountCluster();
  EXPECT_EQ(ReadText(mnt_ + "/lost+found/#" + ToHex(st.st_ino)), "content");
  Unmount();
  EXPECT_EQ(Pxfs({"fsck", "--repair"}).status, 1);  // sessions of when the dump was made
  EXPECT_EQ(PxfsOk({"fsck"}), "clean\n");
}

TEST_F(DumpTest, ALoadedStoreHasTheRecordsOfTheFirst) {
  const auto records = [&] {
    std::map<std::string, std::string> found;
    const auto read = meta::ReadDump(File(), [&](std::string_view key, std::string_view value) {
      found.emplace(key, value);
      return Status();
    });
    EXPECT_TRUE(read) << (read ? "" : read.error().message());
    return found;
  };
  Format(1);
  MountCluster();
  MakeTree();
  Unmount();
  PxfsOk({"dump", File()});
  auto first = records();
  EXPECT_GT(first.size(), 600u);
  PxfsOk({"load", File(), "--cluster", cluster_, "--replace"});
  PxfsOk({"dump", File()});
  auto second = records();
  // Counters go on: numbers that the first store may have given out are passed over.
  const auto is_counter = [](const auto& record) {
    return record.first.front() == static_cast<char>(meta::keys::Family::kCounter);
  };
  EXPECT_GT(std::erase_if(first, is_counter), 0u);
  EXPECT_GT(std::erase_if(second, is_counter), 0u);
  EXPECT_EQ(first, second);
}

TEST_F(DumpTest, AStoreIsReplacedOnlyIfAskedAndIsKept) {
  Format(1);
  PxfsOk({"dump", File()});
  ExpectRefused({"load", File(), "--cluster", cluster_}, 1, {"--replace", cluster_});
  EXPECT_THAT(PxfsOk({"load", File(), "--cluster", cluster_, "--replace"}),
              HasSubstr("meta.replaced-"));
  int kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(cluster_))
    kept += entry.path().filename().string().starts_with("meta.replaced-");
  EXPECT_EQ(kept, 1);
  PxfsOk({"status"});
}

TEST_F(DumpTest, ALoadIntoAClusterThatIsInUseIsRefused) {
  Format(1);
  MountCluster();
  PxfsOk({"dump", File()});
  ExpectRefused({"load", File(), "--cluster", cluster_, "--replace"}, 1, {"in use"});
  Unmount();
}

TEST_F(DumpTest, ADumpIntoTheMountItselfIsRefused) {
  Format(1);
  MountCluster();
  ExpectRefused({"dump", mnt_ + "/dump"}, 1, {"mount of the cluster"});
  Unmount();
}

TEST_F(DumpTest, ADamagedDumpChangesNothing) {
  Format(1);
  PxfsOk({"dump", File()});
  const std::string sound = ReadText(File());
  const std::string elsewhere = scratch_ / "elsewhere";
  const auto refused = [&](const std::string& content, const std::string& word) {
    WriteText(File(), content);
    ExpectRefused({"load", File(), "--cluster", elsewhere}, 1, {File(), word});
    EXPECT_FALSE(std::filesystem::exists(elsewhere));
  };
  refused("", "not a dump");
  refused("something else altogether", "not a dump");
  for (size_t cut = 20; cut < sound.size(); cut += 1 + sound.size() / 40)
    refused(sound.substr(0, cut), "ends too early");
  for (size_t at = 16; at < sound.size(); at += 1 + sound.size() / 40) {
    std::string damaged = sound;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    refused(damaged, "damaged");
  }
  std::string newer = sound;
  newer[15] = 2;
  refused(newer, "newer pxfs");
}

TEST_F(DumpTest, AnotherClustersDirectoryIsRefused) {
  Format(1);
  PxfsOk({"dump", File()});
  const std::string other = scratch_ / "other";
  PxfsOk({"format", other, "--volume", Volume(7)});
  ExpectRefused({"load", File(), "--cluster", other, "--replace"}, 1, {other, "is of cluster"});
  WriteText(scratch_ / "file", "");
  ExpectRefused({"load", File(), "--cluster", scratch_.path()}, 1, {"not empty"});
}

}  // namespace
}  // namespace pxfs::test
