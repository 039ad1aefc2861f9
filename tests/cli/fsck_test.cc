// pxfs fsck: each kind of damage is found as what it is, mended, and gone afterwards; what is sound
// stays as it was.
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/bytes.h"
#include "meta/keys.h"
#include "meta/leveldb_engine.h"
#include "meta/records.h"
#include "tests/cli/mounted_fixture.h"
#include "tests/support/long_run.h"
#include "tests/support/tree_digest.h"

namespace pxfs::test {
namespace {

using testing::HasSubstr;
namespace keys = meta::keys;
using Kinds = std::set<std::string>;

class FsckTest : public MountedCliTest {
 protected:
  void MakeTree() {
    const std::string top = mnt_ + "/tree";
    std::filesystem::create_directories(top + "/deep/er");
    for (int i = 0; i < 40; ++i)
      WriteText(top + "/deep/file" + std::to_string(i), std::string(i * 170 + 1, 'x'));
    std::filesystem::create_hard_link(top + "/deep/file3", top + "/other name");
    std::filesystem::create_symlink("deep/file4", top + "/link");
    WriteText(top + "/deep/er/victim", "the victim's content");
    ASSERT_EQ(::chmod((top + "/deep/er/victim").c_str(), 0640), 0);
    ASSERT_EQ(::chown((top + "/deep/er/victim").c_str(), 1234, 4321), 0);
    ASSERT_EQ(::setxattr((top + "/deep/er/victim").c_str(), "user.note", "kept", 4, 0), 0);
    WriteText(top + "/deep/er/empty", "");
    victim_ = Number(top + "/deep/er/victim");
    empty_ = Number(top + "/deep/er/empty");
    linked_ = Number(top + "/other name");
    directory_ = Number(top + "/deep/er");
    parent_ = Number(top + "/deep");
  }
  static InodeId Number(const std::string& path) {
    struct stat st;
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return InodeId(st.st_ino);
  }
  // A cluster with the tree that nobody serves.
  void Prepare() {
    Format(2);
    MountCluster();
    MakeTree();
    before_ = Digest();
    Unmount();
  }
  std::map<std::string, std::string> Digest() {
    const auto digest = DigestTree(mnt_ + "/tree");
    EXPECT_TRUE(digest) << (digest ? "" : digest.error().message());
    return digest ? *digest : std::map<std::string, std::string>();
  }
  void ExpectTree() {
    MountCluster();
    EXPECT_EQ(Digest(), before_);
    Unmount();
  }
  std::pair<int, Kinds> Fsck(Argv options) {
    options.insert(options.begin(), "fsck");
    options.push_back("--json");
    const Outcome outcome = Pxfs(options);
    const auto json = nlohmann::json::parse(outcome.output, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << outcome.output << outcome.errors;
    Kinds kinds;
    last_ = outcome.output;
    if (!json.is_discarded()) {
      EXPECT_EQ(json["status"], outcome.status);
      for (const auto& finding : json["findings"]) kinds.insert(finding["kind"]);
    }
    return {outcome.status, kinds};
  }
  // Exactly this is found, mended, and gone.
  void ExpectMended(const Kinds& kinds) {
    EXPECT_EQ(Fsck({}), std::make_pair(4, kinds)) << last_;
    EXPECT_EQ(Fsck({"--repair"}), std::make_pair(1, kinds)) << last_;
    EXPECT_EQ(Fsck({}), std::make_pair(0, Kinds())) << last_;
  }

  void Write(const std::vector<meta::KvWrite>& writes) {
    auto engine = meta::OpenLevelDb(cluster_ + "/meta/leveldb", false);
    ASSERT_TRUE(engine) << engine.error().message();
    ASSERT_TRUE((*engine)->Commit({}, writes, [] {}));
  }
  std::vector<meta::KvWrite> Records(keys::Family family) {
    std::vector<meta::KvWrite> records;
    auto engine = meta::OpenLevelDb(cluster_ + "/meta/leveldb", false);
    EXPECT_TRUE(engine) << engine.error().message();
    const std::string begin = keys::Make(family);
    EXPECT_TRUE((*engine)->Scan(begin, keys::EndOf(begin),
                                [&](std::string_view key, std::string_view value) {
                                  records.push_back({std::string(key), std::string(value)});
                                  return true;
                                }));
    return records;
  }
  template <typename Change>
  void ChangeInode(InodeId inode, Change change) {
    for (const meta::KvWrite& record : Records(keys::Family::kInode)) {
      if (record.key != keys::Inode(inode)) continue;
      auto decoded = meta::Decode<meta::InodeRecord>(record.key, record.value);
      ASSERT_TRUE(decoded);
      change(*decoded);
      Write({{record.key, meta::Encode(*decoded)}});
    }
  }
  // The key of the entry that refers to the inode.
  std::string EntryOf(InodeId inode) {
    for (const meta::KvWrite& record : Records(keys::Family::kEntry)) {
      const auto entry = meta::Decode<meta::EntryRecord>(record.key, record.value);
      if (entry && entry->child == inode) return record.key;
    }
    ADD_FAILURE() << "no entry of inode " << inode.value;
    return "";
  }
  std::string ObjectOf(InodeId inode) {
    const std::string prefix = ToHex(inode.value) + "-";
    for (int volume = 1; volume <= 2; ++volume)
      for (const auto& file :
           std::filesystem::recursive_directory_iterator(Volume(volume) + "/objects"))
        if (file.path().filename().string().starts_with(prefix)) return file.path();
    ADD_FAILURE() << "no object of inode " << inode.value;
    return "";
  }

  std::map<std::string, std::string> before_;
  InodeId victim_, empty_, linked_, directory_, parent_;
  std::string last_;
};

// Each by itself is a case of tests/meta/store_test.cc.
TEST_F(FsckTest, DamageToMetadataIsMended) {
  Prepare();
  meta::Policy policy;
  policy.copies = 2;
  ChangeInode(victim_, [](meta::InodeRecord& inode) {
    inode.attr.nlink = 5;
    inode.xattrs = 0;
  });
  ChangeInode(linked_, [](meta::InodeRecord& inode) { inode.name = "nobody"; });
  ChangeInode(directory_, [](meta::InodeRecord& inode) { inode.entries = 77; });
  Write({{Records(keys::Family::kVolumeInode)[0].key, "", true},
         {keys::VolumeInode(VolumeId(1), InodeId(0xffff)), ""},
         {keys::OpenForWrite(linked_, SessionId()), ""},
         {keys::Orphan(linked_), meta::Encode(meta::OrphanRecord())},
         {keys::Policy(victim_), meta::Encode(policy)},
         {keys::Session(SessionId(9999)), meta::Encode(meta::SessionRecord{"gone", true})},
         {keys::Counter("next inode"), meta::EncodeNumber(2)}});
  ExpectMended({"links", "xattr", "directory", "reverse-index", "dangling", "open-record", "orphan",
                "policy", "session", "counter"});
  Write({{EntryOf(victim_), "", true}, {EntryOf(directory_), "\xff"}});
  ExpectMended({"damaged-record", "unreachable", "directory"});
  Write({{keys::Counter("totals"), meta::Encode(meta::TotalsRecord{3, {}})}});
  EXPECT_EQ(Fsck({"--repair"}), std::make_pair(1, Kinds{"counter"}));
  ExpectTree();
}

TEST_F(FsckTest, AFileWhoseInodeIsLostIsMadeAnewOfItsObject) {
  Prepare();
  Write({{keys::Inode(victim_), "\xff"}});
  Write({{keys::Inode(linked_), "", true}});
  ExpectMended({"damaged-record", "dangling"});
  ExpectTree();
}

TEST_F(FsckTest, ADirectoryWhoseInodeIsLostKeepsWhatIsInIt) {
  Prepare();
  Write({{keys::Inode(directory_), "", true}});
  ExpectMended({"dangling"});
  MountCluster();
  EXPECT_EQ(ReadText(mnt_ + "/tree/deep/er/victim"), "the victim's content");
  Unmount();
}

TEST_F(FsckTest, ARepairThatWasKilledIsDoneAgain) {
  Prepare();
  int killed = 0;
  const int step_ms = LongRun() ? 5 : 60;
  for (int ms = 2; ms < 240; ms += step_ms) {
    std::vector<meta::KvWrite> damage = {{EntryOf(victim_), "", true}};
    for (int i = 0; i < 200; ++i)
      damage.push_back({keys::VolumeInode(VolumeId(1), InodeId(0x10000 + i)), ""});
    Write(damage);
    const auto outcome = RunApart({"timeout", "-s", "KILL", std::to_string(ms / 1000.0),
                                   Program("pxfs"), "fsck", "--repair", "--cluster", cluster_});
    ASSERT_TRUE(outcome) << outcome.error().message();
    killed += outcome->status != 1;
    Fsck({"--repair"});
    EXPECT_EQ(Fsck({}), std::make_pair(0, Kinds())) << last_;
  }
  EXPECT_GT(killed, 0);
  ExpectTree();
}

TEST_F(FsckTest, ALoopOfDirectoriesIsBroken) {
  Prepare();
  // /tree/deep is now in /tree/deep/er, and nowhere else.
  const std::string entry = EntryOf(parent_);
  Write({{entry, "", true},
         {keys::Entry(directory_, 12345),
          meta::Encode(meta::EntryRecord{"deep", parent_, S_IFDIR, false})}});
  ChangeInode(parent_, [&](meta::InodeRecord& inode) { inode.parent = directory_; });
  EXPECT_EQ(Fsck({}).first, 4);
  EXPECT_EQ(Fsck({"--repair"}).first, 1) << last_;
  EXPECT_EQ(Fsck({}), std::make_pair(0, Kinds())) << last_;
  MountCluster();
  EXPECT_EQ(ReadText(mnt_ + "/lost+found/#" + ToHex(parent_.value) + "/er/victim"),
            "the victim's content");
  Unmount();
}

TEST_F(FsckTest, ObjectsThatDifferFromTheirFilesAreMended) {
  Prepare();
  ASSERT_EQ(::chmod(ObjectOf(linked_).c_str(), 0600), 0);
  ASSERT_EQ(::chown(ObjectOf(victim_).c_str(), 77, 77), 0);
  ChangeInode(victim_, [](meta::InodeRecord& inode) { inode.attr.size_bytes = 5; });
  ASSERT_EQ(::unlink(ObjectOf(empty_).c_str()), 0);
  ExpectMended({"owner", "counter", "size", "lost-object"});
  ExpectTree();
}

TEST_F(FsckTest, AnObjectThatIsGoneIsSaidUntilItIsBackOrTheFileIsRemoved) {
  Prepare();
  const std::string object = ObjectOf(victim_), aside = scratch_ / "aside";
  std::filesystem::rename(object, aside);
  EXPECT_EQ(Fsck({}), std::make_pair(4, Kinds{"lost-object"}));
  EXPECT_EQ(Fsck({"--repair"}), std::make_pair(4, Kinds{"lost-object"}));
  const Outcome said = Pxfs({"fsck"});
  EXPECT_THAT(said.output, HasSubstr("lost-object: /tree/deep/er/victim: inode "));
  std::filesystem::copy(aside, object);
  ASSERT_EQ(::chmod(object.c_str(), 0640), 0);
  ASSERT_EQ(::chown(object.c_str(), 1234, 4321), 0);
  EXPECT_EQ(Fsck({}), std::make_pair(0, Kinds())) << last_;
}

TEST_F(FsckTest, AnObjectThatNothingRefersToIsKept) {
  Prepare();
  std::filesystem::create_directories(Volume(1) + "/objects/3fff");
  WriteText(Volume(1) + "/objects/3fff/ffffff-2", "all that is left");
  WriteText(Volume(1) + "/objects/3fff/fffffe-1", "");
  ExpectMended({"stray-object"});
  MountCluster();
  EXPECT_EQ(ReadText(mnt_ + "/lost+found/#ffffff"), "all that is left");
  EXPECT_EQ(Entries(mnt_ + "/lost+found").size(), 1u);
  // Numbers of new files go on behind it.
  WriteText(mnt_ + "/new", "new");
  EXPECT_GT(Number(mnt_ + "/new").value, 0xffffffu);
  Unmount();
  ExpectTree();
}

TEST_F(FsckTest, AVolumeThatIsAwayIsSaidAndItsFilesAreLeftAlone) {
  Prepare();
  const std::string aside = scratch_ / "aside";
  std::filesystem::rename(Volume(2), aside);
  EXPECT_EQ(Fsck({"--repair"}), std::make_pair(4, Kinds{"volume"})) << last_;
  std::filesystem::rename(aside, Volume(2));
  EXPECT_EQ(Fsck({}), std::make_pair(0, Kinds())) << last_;
  ExpectTree();
}

TEST_F(FsckTest, AClusterThatIsServedIsRefused) {
  Format(1);
  MountCluster();
  ExpectRefused({"fsck", "--repair", "--lock-wait", "0"}, 8, {"in use", "unmount"});
  Unmount();
  const Outcome clean = Pxfs({"fsck"});
  EXPECT_EQ(clean.status, 0);
  EXPECT_EQ(clean.output, "clean\n");
}

TEST_F(FsckTest, ATornStoreIsNamedWithWhatToDo) {
  Format(1);
  for (const auto& file : std::filesystem::directory_iterator(cluster_ + "/meta/leveldb"))
    if (file.path().filename().string().starts_with("CURRENT")) WriteText(file.path(), "nothing\n");
  ExpectRefused({"fsck"}, 8, {cluster_ + "/meta/leveldb", "pxfs load"});
}

}  // namespace
}  // namespace pxfs::test
