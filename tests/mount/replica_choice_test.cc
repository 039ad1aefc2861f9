// Which copy of a file is read: the one on the least busy volume, and another one as soon as a
// volume fails.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/unique_fd.h"
#include "tests/support/eventually.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr std::chrono::seconds kPatience(60);
constexpr size_t kBytes = 8 << 20;
namespace stdfs = std::filesystem;

// Volumes with disks of their own, and files in d/ that have a copy on each. The daemon reads
// itself, so that one can see which objects it has open.
// By an option of the mount, or by a policy of the tree.
struct Relaying {
  Shape shape;
  std::string mount_option, policy;
};

class ReplicaChoiceTest : public testing::TestWithParam<Relaying> {
 protected:
  void SetUp() override {
    MountedOptions options;
    options.shape = GetParam().shape;
    options.options = GetParam().mount_option;
    options.cluster.volume_image_bytes = 128 << 20;
    // What the kernel says of a disk that is gone.
    options.expected_errors = {"Input/output error"};
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    ASSERT_TRUE(stdfs::create_directory(Path("d")));
    Pxfs({"policy", "set", Path("d"), "copies=3", "hot=off"});
    if (!GetParam().policy.empty()) Pxfs({"policy", "set", Path("d"), GetParam().policy});
    for (const char* name : {"d/a", "d/b", "d/c"}) {
      std::ofstream(Path(name), std::ios::binary) << Content(name);
    }
    for (const char* name : {"d/a", "d/b", "d/c"}) {
      EXPECT_TRUE(Eventually([&] { return Copies(name) == 3; }, kPatience)) << name;
    }
  }
  void TearDown() override {
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }
  static std::string Content(const std::string& name) {
    std::string content(kBytes, name.back());
    for (size_t i = 0; i < kBytes; i += 4096) content[i] = static_cast<char>(i / 4096 % 251);
    return content;
  }
  std::string Pxfs(Argv arguments) const {
    arguments.insert(arguments.begin(), Program("pxfs"));
    const auto outcome = RunProgram(arguments);
    EXPECT_TRUE(outcome && outcome->status == 0) << (outcome ? outcome->output : "");
    return outcome ? outcome->output : "";
  }
  size_t Copies(const std::string& name) const {
    const auto json = nlohmann::json::parse(Pxfs({"where", Path(name), "--json"}), nullptr, false);
    size_t copies = 0;
    for (const auto& replica : json.at(0).at("replicas")) copies += replica["state"] == "current";
    return copies;
  }
  UniqueFd Open(const std::string& name) const {
    return UniqueFd(::open(Path(name).c_str(), O_RDONLY | O_CLOEXEC));
  }
  // The place in volumes() of the volume whose object of the file the daemon has open; -1: none.
  int VolumeInUse(const std::string& name) const {
    struct stat st;
    if (::stat(Path(name).c_str(), &st) != 0) return -1;
    char object[32];
    std::snprintf(object, sizeof object, "/%lx-", static_cast<unsigned long>(st.st_ino));
    const auto& volumes = mounted_->cluster().volumes();
    int found = -1;
    std::error_code error;
    for (const auto& entry : stdfs::directory_iterator(
             "/proc/" + std::to_string(mounted_->mount().record().daemon_pid) + "/fd", error)) {
      const std::string target = stdfs::read_symlink(entry.path(), error).string();
      if (target.find("/objects/") == target.npos || target.find(object) == target.npos) continue;
      // Objects are opened through a private mount, whose place no path tells; each volume has a
      // file system of its own.
      struct stat opened, root;
      for (size_t i = 0; i < volumes.size(); ++i)
        if (::stat(entry.path().c_str(), &opened) == 0 && ::stat(volumes[i].c_str(), &root) == 0 &&
            opened.st_dev == root.st_dev)
          found = static_cast<int>(i);
    }
    return found;
  }
  static std::string ReadFrom(int fd, size_t offset) {
    std::string text(kBytes - offset, '\0');
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t n =
          ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(offset + done));
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    text.resize(done);
    return text;
  }

  std::unique_ptr<MountedCluster> mounted_;
};

INSTANTIATE_TEST_SUITE_P(Ways, ReplicaChoiceTest,
                         testing::Values(Relaying{Shape::kEmbedded, "passthrough=off", ""},
                                         Relaying{Shape::kDaemon, "", "passthrough=off"}),
                         [](const auto& info) {
                           return info.param.policy.empty() ? "ByOption" : "ByPolicy";
                         });

TEST_P(ReplicaChoiceTest, EachOpenTakesTheLeastBusyVolume) {
  const UniqueFd a = Open("d/a"), c = Open("d/c");
  UniqueFd b = Open("d/b");
  ASSERT_TRUE(a && b && c);
  const std::set<int> used{VolumeInUse("d/a"), VolumeInUse("d/b"), VolumeInUse("d/c")};
  EXPECT_EQ(used, (std::set{0, 1, 2}));
  // All opens of a file share one object.
  const int volume = VolumeInUse("d/a");
  const UniqueFd again = Open("d/a");
  EXPECT_EQ(VolumeInUse("d/a"), volume);
  // Where nobody reads any more is where the next one goes.
  const int left = VolumeInUse("d/b");
  b.reset();
  EXPECT_TRUE(Eventually([&] { return VolumeInUse("d/b") == -1; }, kPatience));
  b = Open("d/b");
  EXPECT_EQ(VolumeInUse("d/b"), left);
}

TEST_P(ReplicaChoiceTest, ReadingGoesOnElsewhereWhenAVolumeFails) {
  const UniqueFd a = Open("d/a");
  ASSERT_TRUE(a);
  char first[4096];
  ASSERT_EQ(::pread(a.get(), first, sizeof first, 0), static_cast<ssize_t>(sizeof first));
  const int volume = VolumeInUse("d/a");
  ASSERT_NE(volume, -1);
  ASSERT_STATUS(mounted_->cluster().volume_image(static_cast<size_t>(volume)).CutPower());
  // The handle that was open before.
  EXPECT_TRUE(ReadFrom(a.get(), 4 << 20) == Content("d/a").substr(4 << 20));
  EXPECT_NE(VolumeInUse("d/a"), volume);
  EXPECT_EQ(mounted_->LoggedLines("reading on from").size(), 1u);
  // And those that come.
  for (const char* name : {"d/a", "d/b", "d/c"}) {
    const UniqueFd fd = Open(name);
    ASSERT_TRUE(fd) << name << ": " << std::strerror(errno);
    EXPECT_TRUE(ReadFrom(fd.get(), 0) == Content(name)) << name;
  }
}

// With passthrough, a file in d/ that has two copies.
class ReplicaChoiceWithPassthroughTest : public testing::Test {
 protected:
  void SetUp() override {
    MountedOptions options;
    options.cluster.volume_image_bytes = 128 << 20;
    options.expected_errors = {"Input/output error"};
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    const std::string directory = mounted_->path() + "/d";
    file_ = directory + "/f";
    ASSERT_TRUE(stdfs::create_directory(directory));
    ASSERT_STATUS(RunOk({Program("pxfs"), "policy", "set", directory, "copies=2", "hot=off"}));
    ASSERT_STATUS(WriteFileAtomically(file_, std::string(kBytes, 'x')));
    EXPECT_TRUE(Eventually(
        [&] {
          objects_.clear();
          const auto outcome = RunProgram({Program("pxfs"), "where", file_, "--json"});
          if (!outcome) return false;
          const auto json = nlohmann::json::parse(outcome->output, nullptr, false);
          for (const auto& replica : json.at(0).at("replicas"))
            if (replica["state"] == "current") objects_.push_back(replica["object"]);
          return objects_.size() == 2;
        },
        kPatience));
    ASSERT_STATUS(RunOk({"sync"}));
    for (const std::string& object : objects_) {
      const UniqueFd fd(::open(object.c_str(), O_RDONLY | O_CLOEXEC));
      ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
      ASSERT_FALSE(Cached(object));
    }
  }
  void TearDown() override {
    if (mounted_) EXPECT_STATUS(mounted_->Stop());
  }

  // Who has been read has pages in the page cache.
  static bool Cached(const std::string& object) {
    const UniqueFd fd(::open(object.c_str(), O_RDONLY | O_CLOEXEC));
    void* const mapping = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (mapping == MAP_FAILED) return false;
    unsigned char page = 0;
    const bool there = ::mincore(mapping, 4096, &page) == 0 && (page & 1) != 0;
    ::munmap(mapping, kBytes);
    return there;
  }

  std::unique_ptr<MountedCluster> mounted_;
  std::string file_;
  std::vector<std::string> objects_;
};

// A program that opens the same file over and over: the backing that is kept for it between two
// opens is not kept for ever.
TEST_F(ReplicaChoiceWithPassthroughTest, WhatIsReadAllTheTimeIsReadFromAllCopies) {
  EXPECT_TRUE(Eventually(
      [&] {
        const auto text = ReadFile(file_);
        EXPECT_TRUE(text && text->size() == kBytes);
        return Cached(objects_[0]) && Cached(objects_[1]);
      },
      kPatience));
}

// Its names and its identity are in the page cache, and yet the disk is gone.
TEST_F(ReplicaChoiceWithPassthroughTest, ADiskThatCannotBeReadIsLeft) {
  UniqueFd reader(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  char byte = 0;
  ASSERT_EQ(::pread(reader.get(), &byte, 1, 0), 1);
  const std::string object = Cached(objects_[0]) ? objects_[0] : objects_[1];
  struct stat st;
  ASSERT_EQ(::stat(object.c_str(), &st), 0);
  std::ifstream backing("/sys/dev/block/" + std::to_string(major(st.st_dev)) + ":" +
                        std::to_string(minor(st.st_dev)) + "/loop/backing_file");
  std::string image;
  ASSERT_TRUE(std::getline(backing, image));
  ASSERT_EQ(::truncate(image.c_str(), 0), 0);
  EXPECT_EQ(::pread(reader.get(), &byte, 1, kBytes - 1), -1);
  EXPECT_EQ(errno, EIO);
  reader.reset();
  EXPECT_TRUE(Eventually(
      [&] {
        const auto text = ReadFile(file_);
        return text && *text == std::string(kBytes, 'x');
      },
      kPatience));
  EXPECT_FALSE(mounted_->LoggedLines("its disk cannot be read").empty());
}

}  // namespace
}  // namespace pxfs::test
