// Copies by policy, and volumes that are drained, on a mount in use: what is read is always the
// content, every replica that counts as current has it, and no object is left over.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/unique_fd.h"
#include "tests/mount/copies_fixture.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;

INSTANTIATE_TEST_SUITE_P(Shapes, CopiesTest, testing::Values(Shape::kEmbedded, Shape::kDaemon),
                         [](const auto& info) { return ToString(info.param); });

TEST_P(CopiesTest, APolicyIsMetByWhatIsThereAndWhatComes) {
  stdfs::create_directories(Path("d/deep"));
  WriteText(Path("d/deep/before"), "before");
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  WriteText(Path("d/after"), std::string(3 << 20, 'a'));
  WriteText(Path("elsewhere"), "one copy");
  AwaitCopies("d/deep/before", 2);
  AwaitCopies("d/after", 2);
  EXPECT_EQ(Volumes("elsewhere").size(), 1u);
  // Writing makes copies of the past of all but one, and they are made anew.
  WriteText(Path("d/after"), "rewritten");
  AwaitCopies("d/after", 2);
  EXPECT_EQ(ReadText(Path("d/after")), "rewritten");
  // Owner and mode are on every copy: the fast path relies on them.
  ASSERT_EQ(::chmod(Path("d/after").c_str(), 0640), 0);
  ASSERT_EQ(::chown(Path("d/after").c_str(), 1234, 2345), 0);
  const nlohmann::json replicas = Replicas("d/after");
  for (const auto& replica : replicas) {
    struct stat st;
    ASSERT_EQ(::stat(std::string(replica["object"]).c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0640u);
    EXPECT_EQ(st.st_uid, 1234u);
    EXPECT_EQ(st.st_gid, 2345u);
  }
  // What is moved in gets its copies, what the policy no longer asks for goes.
  ASSERT_EQ(::rename(Path("elsewhere").c_str(), Path("d/elsewhere").c_str()), 0);
  AwaitCopies("d/elsewhere", 2);
  Pxfs({"policy", "set", Path("d"), "copies=3"});
  AwaitCopies("d/deep/before", 3);
  Pxfs({"policy", "unset", Path("d")});
  AwaitCopies("d/deep/before", 1);
  AwaitCopies("d/after", 1);
  EXPECT_EQ(ReadText(Path("d/after")), "rewritten");
  AwaitQuiet();
}

TEST_P(CopiesTest, WithACopyElsewhereAFileOutlivesItsVolume) {
  stdfs::create_directory(Path("d"));
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  WriteText(Path("d/f"), "content");
  AwaitCopies("d/f", 2);
  AwaitQuiet();
  const nlohmann::json replicas = Replicas("d/f");
  ASSERT_EQ(replicas[0]["primary"], true);
  // The object of the primary is lost: the other copy is read, and nobody is the wiser.
  ASSERT_STATUS(mounted_->Stop());
  ASSERT_TRUE(stdfs::remove(std::string(replicas[0]["object"])));
  ASSERT_STATUS(mounted_->Restart());
  EXPECT_EQ(ReadText(Path("d/f")), "content");
  WriteText(std::string(replicas[0]["object"]), "content");  // for the inspection at the end
}

TEST_P(CopiesTest, AWriterStaysWithTheCopyThatIsOpen) {
  stdfs::create_directory(Path("d"));
  Pxfs({"policy", "set", Path("d"), "copies=3"});
  WriteText(Path("d/f"), "old content");
  AwaitCopies("d/f", 3);
  const UniqueFd reader(::open(Path("d/f").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  const UniqueFd writer(::open(Path("d/f").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(writer) << std::strerror(errno);
  ASSERT_EQ(::pwrite(writer.get(), "new", 3, 0), 3);
  char text[16] = {};
  ASSERT_EQ(::pread(reader.get(), text, sizeof text, 0), 11);
  EXPECT_STREQ(text, "new content");
}

TEST_P(CopiesTest, ADrainedVolumeEmptiesWhileItsFilesAreUsed) {
  constexpr int kFiles = 60;
  for (int i = 0; i < kFiles; ++i)
    WriteText(Path("f" + std::to_string(i)), "content " + std::to_string(i));
  std::string held;
  for (int i = 0; i < kFiles && held.empty(); ++i)
    if (Volumes("f" + std::to_string(i)).contains("v2")) held = "f" + std::to_string(i);
  ASSERT_FALSE(held.empty());
  UniqueFd reader(::open(Path(held).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  Pxfs({"volume", "drain", "v2"});
  // All but the file that is open: it has its copy, and the one in use stays until it is closed.
  EXPECT_TRUE(Eventually([&] { return ObjectsOn("v2") == 1; }, kPatience)) << ObjectsOn("v2");
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = "f" + std::to_string(i);
    EXPECT_EQ(ReadText(Path(name)), "content " + std::to_string(i));
    // Changed meanwhile, once more.
    if (i % 3 == 0 && name != held) WriteText(Path(name), "content " + std::to_string(i));
  }
  WriteText(Path("new"), "new");
  EXPECT_FALSE(Volumes("new").contains("v2"));
  reader.reset();
  Pxfs({"volume", "drain", "v2", "--wait"});
  EXPECT_EQ(ObjectsOn("v2"), 0u);
  for (int i = 0; i < kFiles; ++i)
    EXPECT_EQ(ReadText(Path("f" + std::to_string(i))), "content " + std::to_string(i));
  AwaitQuiet();
  size_t left = 0;
  for (const auto& entry :
       stdfs::recursive_directory_iterator(mounted_->cluster().volumes()[1] + "/objects"))
    left += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(left, 0u);
}

// Whoever copies is killed again and again.
TEST_P(CopiesTest, KillingTheCopierLeavesNothingHalfDone) {
  stdfs::create_directory(Path("d"));
  constexpr int kFiles = 40;
  for (int i = 0; i < kFiles; ++i)
    WriteText(Path("d/f" + std::to_string(i)),
              std::string(200'000 + i, static_cast<char>('a' + i % 26)));
  Pxfs({"policy", "set", Path("d"), "copies=2"});
  for (int kill = 0; kill < 4; ++kill) {
    EXPECT_TRUE(Eventually(
        [&] {
          const nlohmann::json json = Json({"where", "-r", Path("d")});
          int copied = 0;
          for (const auto& file : json) copied += file["replicas"].size() > 1 ? 1 : 0;
          return copied >= kill * kFiles / 5;
        },
        kPatience));
    if (GetParam() == Shape::kDaemon) {
      ASSERT_STATUS(mounted_->KillAndRestartDaemon());
    } else {
      ASSERT_STATUS(mounted_->Kill());
      ASSERT_STATUS(mounted_->Restart());
    }
  }
  for (int i = 0; i < kFiles; ++i) AwaitCopies("d/f" + std::to_string(i), 2);
  AwaitQuiet();
}

}  // namespace
}  // namespace pxfs::test
