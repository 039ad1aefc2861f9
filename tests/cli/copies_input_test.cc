// What people may ask for of copies and volumes that cannot be: one clear line each, which says
// what failed, on what, and what to do, and nothing has changed.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "tests/cli/mounted_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/loop_image.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;

struct Case {
  Argv arguments;
  std::vector<std::string> words;  // of the one line
};

class CopiesInputTest : public MountedCliTest {
 protected:
  void ExpectRefusedAll(const std::vector<Case>& cases) {
    for (const Case& c : cases) ExpectRefused(c.arguments, 1, c.words);
  }
  // It is done, and one warning is given.
  void ExpectWarned(const Argv& arguments, const std::vector<std::string>& words) {
    const Outcome outcome = Pxfs(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.errors;
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'), 1) << outcome.errors;
    EXPECT_THAT(outcome.errors, HasSubstr("warning: "));
    for (const std::string& word : words) EXPECT_THAT(outcome.errors, HasSubstr(word));
  }
};

TEST_F(CopiesInputTest, PoliciesAndWishesThatCannotBeMet) {
  // Three disks of their own.
  std::vector<std::unique_ptr<LoopImage>> disks;
  Argv format = {"format", cluster_};
  for (int i = 1; i <= 3; ++i) {
    auto disk = LoopImage::Create(scratch_ / ("image" + std::to_string(i)),
                                  scratch_ / ("disk" + std::to_string(i)), 64 << 20);
    ASSERT_TRUE(disk) << disk.error().message();
    disks.push_back(std::move(*disk));
    format.push_back("--volume");
    format.push_back(disks.back()->path() + "/v" + (i == 1 ? ",label=tier=ssd" : ""));
  }
  EXPECT_EQ(Pxfs(format).errors, "");
  PxfsOk({"volume", "set", "v3", "state=readonly"});
  MountCluster();
  const std::string file = mnt_ + "/f";
  PxfsOk({"policy", "set", mnt_, "pin=v1", "hot=off"});
  WriteText(file, std::string(1 << 20, 'x'));

  ExpectRefusedAll({
      {{"policy", "set", mnt_, "copies=3", "max-copies=2"}, {"copies=3", "max-copies=2"}},
      {{"policy", "set", mnt_, "spread", "pin=v1"}, {"pin=v1", "placement=spread"}},
      {{"policy", "set", mnt_, "spread", "colocate"}, {"colocate", "given twice"}},
      {{"policy", "set", mnt_, "commit=sometimes"}, {"commit=sometimes", "close or async"}},
      {{"policy", "set", mnt_, "pin=v9"}, {"pin=v9", "no such volume"}},
      {{"policy", "set", mnt_, "copies=4"}, {"copies=4", "only 3 volume(s)"}},
      {{"policy", "set", mnt_, "spread", "tier=tape"}, {"tier=tape", "no volume has this label"}},
      {{"policy", "set", mnt_, "placement=spread", "tier=ssd", "copies=2"},
       {"copies=2", "tier=ssd"}},
      {{"policy", "set", mnt_, "pin=v2", "tier=ssd"}, {"pin=v2", "tier=ssd"}},
      {{"pin", file, "--to", "v9"}, {"v9", "no such volume"}},
      {{"replicate", file, "--to", "v9"}, {"v9", "no such volume"}},
      {{"replicate", file, "--copies", "4"}, {"/f", "4 copies", "only 3 volumes"}},
      {{"replicate", file}, {"--copies N or --to VOLUME"}},
      {{"replicate", file, "--to", "v3", "--wait"},
       {"/f", "volume v3 is readonly", "state=online"}},
      {{"pin", file, "--to", "v3"}, {"/f", "volume v3 is readonly", "state=online"}},
      {{"volume", "drain", "v9"}, {"v9", "no such volume"}},
      {{"volume", "rm", "v1"}, {"v1 holds files", "pxfs volume drain v1"}},
  });
  EXPECT_EQ(PxfsJson({"policy", "get", mnt_})["own"], "placement=pin pin=v1 hot=off");
  EXPECT_FALSE(PxfsJson({"where", file})[0].contains("wishes"));
  EXPECT_EQ(::lsetxattr(file.c_str(), "user.pxfs.pin", "v3", 2, 0), -1);
  EXPECT_EQ(errno, EROFS);
  ExpectWarned({"policy", "set", mnt_, "copies=3"}, {"3 copies", "only 2", "v3 is readonly"});
  ExpectWarned({"replicate", file, "--copies", "3"}, {"3 copies", "only 2", "v3 is readonly"});
  PxfsOk({"policy", "set", mnt_, "copies=1"});
  PxfsOk({"evict", file});
  // Where it has a copy it may have one.
  EXPECT_TRUE(Eventually([&] { return PxfsJson({"where", file})[0]["replicas"].size() == 1; }));

  // A target that is full, and one that is not there.
  PxfsOk({"volume", "set", "v2", "reserve=1T"});
  ExpectRefusedAll({
      {{"replicate", file, "--to", "v2"}, {"/f", "volume v2 has no room", "1.0 TiB are reserved"}},
  });
  PxfsOk({"volume", "set", "v2", "state=offline", "reserve=0"});
  ExpectRefusedAll({
      {{"replicate", file, "--to", "v2", "--wait"}, {"/f", "volume v2 is offline"}},
      {{"volume", "drain", "v1"}, {"v1", "no other volume is online"}},
  });
  Unmount();
}

TEST_F(CopiesInputTest, PlacesThatCannotBeVolumes) {
  FormatAndMount(2);
  // Those of the other cluster, of a disk that cannot be written, and of one that is full.
  Argv other = {"format", scratch_ / "other", "--volume", Volume(3)};
  PxfsOk(other);
  auto read_only = LoopImage::Create(scratch_ / "image1", scratch_ / "read-only", 16 << 20);
  auto full = LoopImage::Create(scratch_ / "image2", scratch_ / "full", 16 << 20);
  ASSERT_TRUE(read_only && full);
  ASSERT_EQ(
      ::mount(nullptr, (*read_only)->path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  {
    UniqueFd ballast(::open(((*full)->path() + "/ballast").c_str(), O_WRONLY | O_CREAT, 0600));
    const std::string zeros(4096, '\0');
    while (::write(ballast.get(), zeros.data(), zeros.size()) > 0) {
    }
  }
  ExpectRefusedAll({
      {{"volume", "add", mnt_ + "/v"}, {mnt_ + "/v", "in a mount of the cluster"}},
      {{"format", mnt_ + "/c", "--volume", Volume(5)}, {mnt_ + "/c", "in a mount of the cluster"}},
      {{"format", scratch_ / "c", "--volume", mnt_ + "/v"},
       {mnt_ + "/v", "in a mount of the cluster"}},
      {{"volume", "add", Volume(3)}, {Volume(3), "of cluster", "give another directory"}},
      {{"volume", "add", Volume(1)}, {Volume(1), "is the volume v1 already"}},
      {{"volume", "add", Volume(1) + "/inner"}, {"overlaps the volume v1"}},
      {{"volume", "add", (*read_only)->path() + "/v"}, {(*read_only)->path(), "read-only"}},
      {{"volume", "add", (*full)->path() + "/v"}, {(*full)->path(), "No space left"}},
  });
  EXPECT_EQ(PxfsJson({"volume", "ls"}).size(), 2u);
  EXPECT_FALSE(std::filesystem::exists((*full)->path() + "/v"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "c"));
  // On one file system: as separate copies they are of little use.
  ExpectWarned({"volume", "add", Volume(4)}, {"v1, v2, v3 share one file system"});
  ExpectWarned({"policy", "set", mnt_, "copies=2"},
               {"2 copies", "v1, v2, v3 share one file system", "another disk"});
  EXPECT_EQ(Pxfs({"policy", "set", mnt_, "hot=off"}).errors, "");
  Unmount();
}

}  // namespace
}  // namespace pxfs::test
