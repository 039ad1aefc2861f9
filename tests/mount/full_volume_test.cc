// Volumes that are full, read-only or gone: what was acknowledged stays, what fails says why, and
// only the files that lie there suffer.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/unique_fd.h"
#include "tests/crash/store_inspection.h"
#include "tests/support/eventually.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr std::chrono::seconds kPatience(20);  // for what happens in the background
constexpr uint64_t kVolumeBytes = 24 << 20;
constexpr size_t kChunk = 64 << 10;

// Bytes that show where they came from.
std::string Pattern(size_t size, unsigned seed) {
  std::string data(size, '\0');
  for (size_t i = 0; i < size; ++i)
    data[i] = static_cast<char>((i * 31 + i / 251 + seed * 7 + 1) & 0xff);
  return data;
}

struct Written {
  size_t bytes = 0;  // acknowledged
  int error = 0;     // what ended it
};

struct Variant {
  Shape shape;
  const char* options;
};

class Volumes : public testing::TestWithParam<Variant> {
 protected:
  void Start(int volumes, std::vector<std::string> expected_errors = {}) {
    MountedOptions options;
    options.shape = GetParam().shape;
    options.options = GetParam().options;
    options.cluster.volumes = volumes;
    options.cluster.volume_image_bytes = kVolumeBytes;
    options.expected_errors = std::move(expected_errors);
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
  }
  void TearDown() override {
    if (!mounted_) return;
    EXPECT_STATUS(mounted_->Stop());
    ExpectSound(mounted_->cluster().directory());
  }

  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }

  // Writes `size` bytes in chunks behind what is there, and syncs.
  Written Append(const std::string& name, size_t size, unsigned seed) {
    Written written;
    const UniqueFd fd(::open(Path(name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!fd) return {0, errno};
    const std::string data = Pattern(size, seed);
    while (written.bytes < size) {
      const ssize_t n =
          ::write(fd.get(), data.data() + written.bytes, std::min(kChunk, size - written.bytes));
      if (n < 0) {
        written.error = errno;
        break;
      }
      written.bytes += static_cast<size_t>(n);
    }
    if (::fsync(fd.get()) != 0 && written.error == 0) written.error = errno;
    return written;
  }
  Status Make(const std::string& name, size_t size, unsigned seed) {
    const Written written = Append(name, size, seed);
    if (written.error != 0) return FailErrno(written.error, name);
    return {};
  }
  // The names of the volumes that hold a replica.
  std::string VolumeOf(const std::string& name) {
    const auto outcome = RunProgram({Program("pxfs"), "where", "--json", Path(name)});
    if (!outcome || outcome->status != 0) return "?" + (outcome ? outcome->output : "");
    std::string volumes;
    const auto json = nlohmann::json::parse(outcome->output, nullptr, false);
    if (json.is_discarded()) return "? " + outcome->output;
    const auto& location = json.is_array() ? json[0] : json;
    for (const auto& replica : location["replicas"])
      volumes += (volumes.empty() ? "" : ",") + replica["volume"].get<std::string>();
    return volumes;
  }

  std::unique_ptr<MountedCluster> mounted_;
};

// Files of 1 MiB until nobody takes any more, and then the rest of one volume.
TEST_P(Volumes, AFullClusterSaysSoAndLosesNothing) {
  Start(2);
  std::map<std::string, size_t> kept;
  Written last;
  // One that found no room may be followed by one on the other volume.
  for (unsigned i = 0; (last.error == 0 || last.bytes > 0) && i < 200; ++i) {
    const std::string name = "f" + std::to_string(i);
    last = Append(name, 1 << 20, i);
    if (last.bytes > 0) kept[name] = last.bytes;
    if (last.error != 0) {
      EXPECT_EQ(last.error, ENOSPC);
    }
  }
  EXPECT_EQ(last.error, ENOSPC);
  EXPECT_GT(kept.size(), 30u);
  // Both volumes are below their reserve, which files that exist may still use up.
  ASSERT_TRUE(Eventually(
      [&] {
        const UniqueFd fd(::open(Path("more").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        if (fd) ::unlink(Path("more").c_str());
        return !fd && errno == ENOSPC;
      },
      kPatience));
  EXPECT_EQ(Append("f0", 40 << 20, 99).error, ENOSPC);
  kept.erase("f0");
  EXPECT_EQ(::mkdir(Path("directory").c_str(), 0755), 0) << "metadata lies elsewhere";
  EXPECT_FALSE(mounted_->LoggedLines("no volume takes a new file: v1: ").empty());
  EXPECT_FALSE(mounted_->LoggedLines("; v2: ").empty());

  ASSERT_STATUS(mounted_->Stop());
  ASSERT_STATUS(mounted_->Restart());
  for (const auto& [name, size] : kept) {
    const auto content = ReadFile(Path(name));
    ASSERT_TRUE(content) << content.error().message();
    EXPECT_TRUE(*content ==
                Pattern(1 << 20, static_cast<unsigned>(std::stoul(name.substr(1)))).substr(0, size))
        << name;
  }
  // Room that is made is used again.
  for (const auto& [name, size] : kept) ASSERT_EQ(::unlink(Path(name).c_str()), 0);
  ASSERT_EQ(::truncate(Path("f0").c_str(), 0), 0);
  EXPECT_TRUE(Eventually([&] { return Make("again", 2 << 20, 5).has_value(); }, kPatience));
}

TEST_P(Volumes, PlacementAvoidsAFullVolumeAndSaysSo) {
  Start(2);
  ASSERT_STATUS(Make("big", 1, 1));
  const std::string full = VolumeOf("big");
  ASSERT_TRUE(full == "v1" || full == "v2") << full;
  EXPECT_EQ(Append("big", 40 << 20, 1).error, ENOSPC);
  ASSERT_TRUE(Eventually(
      [&] { return !mounted_->LoggedLines("volume " + full + " takes no new files").empty(); },
      kPatience));
  for (unsigned i = 0; i < 20; ++i) {
    const std::string name = "f" + std::to_string(i);
    ASSERT_STATUS(Make(name, 1000, i));
    EXPECT_EQ(VolumeOf(name), full == "v1" ? "v2" : "v1");
  }
  ASSERT_EQ(::unlink(Path("big").c_str()), 0);
  ASSERT_TRUE(Eventually(
      [&] { return !mounted_->LoggedLines("volume " + full + " takes new files again").empty(); },
      kPatience));
}

// A file on a volume below its reserve goes where there is room before it is written.
TEST_P(Volumes, OpenForWritingMovesFirst) {
  Start(2);
  ASSERT_STATUS(Make("big", 3 << 20, 1));
  ASSERT_EQ(::link(Path("big").c_str(), Path("link").c_str()), 0);
  ASSERT_EQ(::chmod(Path("big").c_str(), 04751), 0);
  ASSERT_EQ(::chown(Path("big").c_str(), 12, 34), 0);
  ASSERT_EQ(::chmod(Path("big").c_str(), 04751), 0);
  const timespec times[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(::utimensat(AT_FDCWD, Path("big").c_str(), times, 0), 0);
  const std::string full = VolumeOf("big"), other = full == "v1" ? "v2" : "v1";
  const auto set_reserve = [&](const std::string& size) {
    return RunOk({Program("pxfs"), "volume", "set", full, "reserve=" + size, "--cluster",
                  mounted_->cluster().directory()});
  };
  ASSERT_STATUS(set_reserve("1T"));

  // Reading leaves it where it is, and a reader keeps it there: both see one content.
  {
    const UniqueFd reader(::open(Path("big").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(reader);
    EXPECT_EQ(VolumeOf("big"), full);
    EXPECT_EQ(Append("big", 10, 7).error, 0);
    EXPECT_EQ(VolumeOf("big"), full);
    char bytes[10];
    EXPECT_EQ(::pread(reader.get(), bytes, 10, 3 << 20), 10);
    ASSERT_EQ(::truncate(Path("big").c_str(), 3 << 20), 0);
    ASSERT_EQ(::chmod(Path("big").c_str(), 04751), 0);
    ASSERT_EQ(::utimensat(AT_FDCWD, Path("big").c_str(), times, 0), 0);
  }
  struct stat before, after;
  ASSERT_EQ(::stat(Path("big").c_str(), &before), 0);
  // Several at once, one of which moves it.
  std::vector<std::thread> openers;
  std::array<UniqueFd, 4> fds;
  // The release of the reader comes some time after its close.
  ASSERT_TRUE(Eventually(
      [&] {
        for (UniqueFd& fd : fds) fd.reset();
        for (size_t i = 0; i < fds.size(); ++i)
          openers.emplace_back([&, i] {
            fds[i] = UniqueFd(::open(Path(i % 2 ? "link" : "big").c_str(),
                                     (i < 2 ? O_RDWR : O_RDONLY) | O_CLOEXEC));
          });
        for (std::thread& opener : openers) opener.join();
        openers.clear();
        return VolumeOf("big") == other;
      },
      kPatience));
  ASSERT_EQ(::stat(Path("big").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(after.st_nlink, 2u);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_uid, 12u);
  EXPECT_EQ(after.st_mtim.tv_sec, 2000);
  EXPECT_EQ(after.st_mtim.tv_nsec, 2);
  for (const UniqueFd& fd : fds) {
    ASSERT_TRUE(fd);
    std::string content(3 << 20, '\0');
    ASSERT_EQ(::pread(fd.get(), content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
    EXPECT_TRUE(content == Pattern(3 << 20, 1));
  }
  ASSERT_EQ(::pwrite(fds[0].get(), "new", 3, 0), 3);
  char bytes[3];
  ASSERT_EQ(::pread(fds[3].get(), bytes, 3, 0), 3);
  EXPECT_EQ(std::string(bytes, 3), "new") << "all have the same object open";
  for (UniqueFd& fd : fds) fd.reset();
  EXPECT_FALSE(mounted_->LoggedLines("to a volume with room before it is written").empty());
  // The object that was left is gone.
  const std::string objects = mounted_->cluster().volumes()[full == "v1" ? 0 : 1] + "/objects";
  EXPECT_TRUE(Eventually(
      [&] {
        const auto found = RunProgram({"find", objects, "-type", "f"});
        return found && found->output.empty();
      },
      kPatience));
}

TEST_P(Volumes, AReadOnlyVolumeDegradesOnlyItsFiles) {
  // What reaches a volume in the moments before it is known to be read-only.
  Start(2, {"Read-only file system"});
  std::string here[2];  // one file on each volume
  for (unsigned i = 0; here[0].empty() || here[1].empty(); ++i) {
    ASSERT_LT(i, 50u);
    const std::string name = "f" + std::to_string(i);
    ASSERT_STATUS(Make(name, 5000, i));
    here[VolumeOf(name) == "v1" ? 0 : 1] = name;
  }
  ASSERT_STATUS(mounted_->cluster().volume_image(0).BecomeReadOnly());
  // At once, for embedded mounts; a separate daemon tells placement a second later.
  if (GetParam().shape == Shape::kDaemon) {
    ASSERT_TRUE(
        Eventually([&] { return !mounted_->LoggedLines("volume v1 is ").empty(); }, kPatience));
  }
  for (unsigned i = 100; i < 120; ++i) {
    const std::string name = "f" + std::to_string(i);
    ASSERT_STATUS(Make(name, 5000, i));
    EXPECT_EQ(VolumeOf(name), "v2");
  }
  const auto content = ReadFile(Path(here[0]));
  ASSERT_TRUE(content) << content.error().message();
  EXPECT_EQ(content->size(), 5000u);
  EXPECT_EQ(Append(here[0], 10, 1).error, EROFS);
  EXPECT_EQ(::truncate(Path(here[0]).c_str(), 0), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(Append(here[1], 10, 1).error, 0);
  EXPECT_FALSE(mounted_->LoggedLines("read-only").empty());
  // Names are not on the volume.
  EXPECT_EQ(::rename(Path(here[0]).c_str(), Path("renamed").c_str()), 0);
  ASSERT_STATUS(mounted_->Stop());
  ASSERT_STATUS(mounted_->cluster().volume_image(0).Remount());
  ASSERT_STATUS(mounted_->Restart());
  EXPECT_EQ(Append("renamed", 10, 1).error, 0);
}

TEST_P(Volumes, AVanishedVolumeDegradesOnlyItsFiles) {
  Start(2, {"offline", "Input/output error", "inode"});
  std::string here[2];
  for (unsigned i = 0; here[0].empty() || here[1].empty(); ++i) {
    ASSERT_LT(i, 50u);
    const std::string name = "f" + std::to_string(i);
    ASSERT_STATUS(Make(name, 5000, i));
    here[VolumeOf(name) == "v1" ? 0 : 1] = name;
  }
  ASSERT_STATUS(mounted_->cluster().volume_image(0).CutPower());
  ASSERT_TRUE(Eventually([&] { return !mounted_->LoggedLines("volume v1 is offline").empty(); },
                         kPatience));
  for (unsigned i = 100; i < 120; ++i) {
    const std::string name = "f" + std::to_string(i);
    ASSERT_STATUS(Make(name, 5000, i));
  }
  EXPECT_EQ(Append(here[0], 10, 1).error, EIO);
  EXPECT_EQ(Append(here[1], 10, 1).error, 0);
  struct stat st;
  EXPECT_EQ(::stat(Path(here[0]).c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 5000);
  ASSERT_STATUS(mounted_->Stop());
  ASSERT_STATUS(mounted_->cluster().volume_image(0).Remount());
  ASSERT_STATUS(mounted_->Restart());
  EXPECT_EQ(Append(here[0], 10, 1).error, 0);
}

// Everything on one disk, the metadata store too, which is then full to the last block.
class FullDisk : public Volumes {
 protected:
  static constexpr int kFiles = 300;
  void SetUp() override {
    MountedOptions options;
    options.shape = GetParam().shape;
    options.options = GetParam().options;
    options.cluster.ext4_image = true;
    options.cluster.image_bytes = 96 << 20;
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    for (int i = 0; i < kFiles; ++i) ASSERT_STATUS(Make(Name(i), 1000, static_cast<unsigned>(i)));
  }
  static std::string Name(int i) { return "f" + std::to_string(i); }
  std::string Filler() const { return mounted_->cluster().native() + "/filler"; }
  void Fill() {
    const UniqueFd fd(::open(Filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd);
    for (size_t size : {size_t{1} << 20, size_t{4096}, size_t{1}}) {
      const std::string bytes(size, 'x');
      while (::write(fd.get(), bytes.data(), size) > 0) {
      }
      ASSERT_EQ(errno, ENOSPC);
      ASSERT_EQ(::fsync(fd.get()), 0);
    }
  }
  // Adds names until there is no room for more; how many were acknowledged.
  int LinkUntilFull() {
    for (int i = 0; i < 100'000; ++i) {
      if (::link(Path("f0").c_str(), Path("link" + std::to_string(i)).c_str()) == 0) continue;
      EXPECT_EQ(errno, ENOSPC);
      return i;
    }
    ADD_FAILURE() << "the disk does not fill up";
    return 0;
  }
};

TEST_P(FullDisk, LosesNothingAndLetsFilesBeRemoved) {
  Fill();
  const int links = LinkUntilFull();
  ASSERT_GT(links, 0);
  EXPECT_EQ(::mkdir(Path("new").c_str(), 0755), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(::setxattr(Path("f1").c_str(), "user.k", "v", 1, 0), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_FALSE(mounted_->LoggedLines("nothing can be added until there is room").empty());
  // What adds nothing goes on, and is kept.
  for (int i = 1; i < kFiles; ++i) {
    ASSERT_EQ(::chmod(Path(Name(i)).c_str(), 0640), 0) << i;
    if (i % 3 == 0) {
      ASSERT_EQ(::rename(Path(Name(i)).c_str(), Path(Name(i) + ".new").c_str()), 0) << i;
    }
    if (i % 3 == 1) {
      ASSERT_EQ(::unlink(Path(Name(i)).c_str()), 0) << i;
    }
    if (i % 25 == 0) Fill();  // somebody takes whatever is free meanwhile
  }
  // Whatever serves it starts again on the full disk.
  ASSERT_STATUS(mounted_->Kill());
  ASSERT_STATUS(mounted_->Restart());
  struct stat st;
  ASSERT_EQ(::stat(Path("f0").c_str(), &st), 0);
  EXPECT_EQ(st.st_nlink, static_cast<nlink_t>(links) + 1);
  for (int i = 1; i < kFiles; ++i) {
    const std::string name = i % 3 == 0 ? Name(i) + ".new" : Name(i);
    ASSERT_EQ(::stat(Path(name).c_str(), &st), i % 3 == 1 ? -1 : 0) << name;
    if (i % 3 != 1) {
      EXPECT_EQ(st.st_mode & 07777, 0640u) << name;
    }
  }
  EXPECT_EQ(::unlink(Path("link0").c_str()), 0);
  // Room is made, and used without anything being started again.
  ASSERT_EQ(::unlink(Filler().c_str()), 0);
  EXPECT_TRUE(Eventually([&] { return ::mkdir(Path("new").c_str(), 0755) == 0; }, kPatience));
  EXPECT_TRUE(Eventually([&] { return Make("new/file", 1 << 20, 1).has_value(); }, kPatience));
}

std::vector<Variant> Variants() {
  std::vector<Variant> variants = {{Shape::kEmbedded, "passthrough=on"}};
  if (LongRun()) {
    variants.push_back({Shape::kEmbedded, "passthrough=off"});
    variants.push_back({Shape::kDaemon, "passthrough=on"});
    variants.push_back({Shape::kDaemon, "passthrough=off"});
  }
  return variants;
}

std::string NameOf(const testing::TestParamInfo<Variant>& info) {
  return VariantName(info.param.shape, info.param.options);
}

INSTANTIATE_TEST_SUITE_P(All, Volumes, testing::ValuesIn(Variants()), NameOf);
INSTANTIATE_TEST_SUITE_P(All, FullDisk, testing::ValuesIn(Variants()), NameOf);

}  // namespace
}  // namespace pxfs::test
