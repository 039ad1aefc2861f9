// What a mount says where something of its cluster is missing, foreign, damaged or taken: one line
// with the right status, and nothing is lost or written where it does not belong.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/unique_fd.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr int kFiles = 24;

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

int ErrnoOfOpen(const std::string& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  return fd ? 0 : errno;
}

class BadInputTest : public testing::Test {
 protected:
  void SetUp() override {
    auto cluster = TemporaryCluster::Create();
    ASSERT_TRUE(cluster) << cluster.error().message();
    cluster_ = std::move(*cluster);
    mountpoint_ = cluster_->scratch() / "mnt";
    stdfs::create_directory(mountpoint_);
    WithMount([&] {
      for (int i = 0; i < kFiles; ++i) std::ofstream(File(i)) << "content " << i;
    });
    for (int i = 0; i < kFiles; ++i) volume_of_[i] = VolumeOf("pxfs:/f" + std::to_string(i));
  }

  std::string File(int i) const { return mountpoint_ + "/f" + std::to_string(i); }
  std::string VolumeOf(const std::string& path) const {
    const auto where =
        RunProgram({Program("pxfs"), "--cluster", cluster_->directory(), "where", "--json", path});
    const std::string text = where ? where->output : "";
    const size_t at = text.find("\"volume\"");
    return at == std::string::npos ? text : text.substr(text.find("v", text.find(':', at)), 2);
  }

  Outcome RunMount(const std::string& directory) const {
    const auto outcome = RunApart({Program("mount.pxfs"), directory, mountpoint_});
    EXPECT_TRUE(outcome) << outcome.error().message();
    return outcome.value_or(Outcome{-1, "", ""});
  }
  // Nothing is mounted after it.
  void ExpectMountRefused(const std::string& directory, const std::string& words) const {
    const Outcome outcome = RunMount(directory);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.errors, AllOf(testing::StartsWith("mount.pxfs: "), HasSubstr(words)));
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
    EXPECT_TRUE(stdfs::is_empty(mountpoint_));
    EXPECT_TRUE(stdfs::exists(directory));
  }
  template <typename Use>
  void WithMount(Use use) {
    auto mount = Mount::Start(cluster_->directory(), mountpoint_, "");
    ASSERT_TRUE(mount) << mount.error().message();
    use();
    ASSERT_STATUS((*mount)->Stop());
  }
  void ExpectAllIsThere() {
    WithMount([&] {
      for (int i = 0; i < kFiles; ++i) EXPECT_EQ(ReadText(File(i)), "content " + std::to_string(i));
    });
  }

  // Mounts without the second volume, of which `problem` is said: the rest is served.
  void ExpectDegraded(const std::string& problem) {
    const Outcome outcome = RunMount(cluster_->directory());
    ASSERT_EQ(outcome.status, 0) << outcome.errors;
    EXPECT_THAT(outcome.errors, AllOf(testing::StartsWith("mount.pxfs: warning: volume v2"),
                                      HasSubstr(cluster_->volumes()[1]), HasSubstr(problem)));
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
    int away = 0;
    for (int i = 0; i < kFiles; ++i) {
      if (volume_of_[i] != "v2") {
        EXPECT_EQ(ReadText(File(i)), "content " + std::to_string(i));
        continue;
      }
      ++away;
      EXPECT_EQ(ErrnoOfOpen(File(i), O_RDONLY), EIO);
      EXPECT_EQ(ErrnoOfOpen(File(i), O_WRONLY | O_TRUNC), EIO);
      EXPECT_EQ(::truncate(File(i).c_str(), 0), -1);
      EXPECT_EQ(stdfs::file_size(File(i)), ("content " + std::to_string(i)).size());
    }
    EXPECT_GT(away, 0);
    EXPECT_LT(away, kFiles);
    // Nothing goes there.
    for (int i = 0; i < kFiles; ++i) {
      const std::string path = mountpoint_ + "/new" + std::to_string(i);
      ASSERT_EQ(ErrnoOfOpen(path, O_WRONLY | O_CREAT | O_EXCL), 0);
      EXPECT_NE(VolumeOf("pxfs:/new" + std::to_string(i)), "v2");
      EXPECT_EQ(::unlink(path.c_str()), 0);
    }
    const auto umounted = RunProgram({Program("umount.pxfs"), mountpoint_});
    EXPECT_TRUE(umounted && umounted->status == 0) << umounted->output;
  }

  std::unique_ptr<TemporaryCluster> cluster_;
  std::string mountpoint_;
  std::map<int, std::string> volume_of_;
};

TEST_F(BadInputTest, AMissingVolumeTakesItsFilesAlone) {
  const std::string volume = cluster_->volumes()[1];
  stdfs::rename(volume, volume + ".away");
  ExpectDegraded("is its disk mounted?");
  EXPECT_FALSE(stdfs::exists(volume));
  stdfs::create_directory(volume);  // the mount point of a disk that is not mounted
  ExpectDegraded("is its disk mounted?");
  EXPECT_TRUE(stdfs::is_empty(volume));
  stdfs::remove(volume);
  stdfs::rename(volume + ".away", volume);
  ExpectAllIsThere();
}

TEST_F(BadInputTest, AForeignVolumeIsNotTouched) {
  const std::string volume = cluster_->volumes()[1];
  stdfs::rename(volume, volume + ".away");
  ASSERT_STATUS(
      RunOk({Program("pxfs"), "format", cluster_->scratch() / "other", "--volume", volume}));
  const auto entries = [&] {
    std::string all;
    for (const auto& entry : stdfs::recursive_directory_iterator(volume))
      all += entry.path().string() + "\n";
    return all;
  };
  const std::string before = entries();
  ExpectDegraded("foreign");
  EXPECT_EQ(entries(), before);
  stdfs::rename(volume, volume + ".foreign");
  stdfs::rename(volume + ".away", volume);
  ExpectAllIsThere();
}

TEST_F(BadInputTest, AClusterInUseIsSharedByMountsAndRefusedToServers) {
  WithMount([&] {
    const auto second =
        RunApart({Program("pxfsd"), "--cluster", cluster_->directory(), "--lock-wait", "0.1"});
    ASSERT_TRUE(second) << second.error().message();
    EXPECT_EQ(second->status, 1);
    EXPECT_THAT(second->errors,
                AllOf(testing::StartsWith("pxfsd: "), HasSubstr("in use by process"),
                      HasSubstr("end it, or use the cluster through it")));
    EXPECT_EQ(std::count(second->errors.begin(), second->errors.end(), '\n'), 1);
    EXPECT_EQ(ReadText(File(0)), "content 0");
    auto again = Mount::Start(cluster_->directory(), cluster_->scratch() / "again", "");
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(ReadText((*again)->path() + "/f1"), "content 1");
    EXPECT_STATUS((*again)->Stop());
  });
}

TEST_F(BadInputTest, ANewerClusterIsLeftAlone) {
  const std::string file = cluster_->directory() + "/cluster.json";
  const std::string identity = ReadText(file);
  std::ofstream(file) << R"({"version":99,"uuid":"x"})";
  ExpectMountRefused(cluster_->directory(), "newer");
  std::ofstream(file) << identity;
  ExpectAllIsThere();
}

TEST_F(BadInputTest, ADamagedStoreIsNamedAndLeftAlone) {
  const std::string store = cluster_->directory() + "/meta/leveldb";
  stdfs::copy(store, cluster_->scratch() / "copy", stdfs::copy_options::recursive);
  const auto restore = [&] {
    stdfs::remove_all(store);
    stdfs::copy(cluster_->scratch() / "copy", store, stdfs::copy_options::recursive);
  };
  int tables = 0;
  for (const auto& entry : stdfs::directory_iterator(store)) {
    if (entry.path().extension() != ".ldb") continue;
    ++tables;
    std::fstream table(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    table.seekp(20);
    table << std::string(100, '\xff');
  }
  ASSERT_GT(tables, 0);
  ExpectMountRefused(cluster_->directory(), "restore a dump");
  restore();
  stdfs::remove(store + "/CURRENT");
  ExpectMountRefused(cluster_->directory(), "restore a dump");
  restore();
  ExpectAllIsThere();
}

}  // namespace
}  // namespace pxfs::test
