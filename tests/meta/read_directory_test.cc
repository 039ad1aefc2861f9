// meta/ops/read_directory.cc: stable cookies, names that collide, removed directories.
#include <algorithm>
#include <map>
#include <set>

#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class ReadDirectoryTest : public ServiceTest {
 protected:
  // Every page from `cookie` on.
  std::vector<DirEntry> List(InodeId directory, uint32_t page_size, uint64_t cookie = 0,
                             bool with_attr = false) {
    std::vector<DirEntry> all;
    for (;;) {
      const DirPage page =
          Value(service_->ReadDirectory(ctx_, directory, cookie, page_size, with_attr));
      all.insert(all.end(), page.entries.begin(), page.entries.end());
      if (page.end) return all;
      if (page.entries.empty()) {
        ADD_FAILURE() << "an empty page before the end";
        return all;
      }
      cookie = page.entries.back().cookie;
    }
  }
  static std::multiset<std::string> Names(const std::vector<DirEntry>& entries) {
    std::multiset<std::string> names;
    for (const DirEntry& entry : entries) names.insert(entry.name);
    return names;
  }
};

TEST_P(ReadDirectoryTest, PagesOfAnySizeGiveEveryEntryOnce) {
  std::multiset<std::string> expected;
  for (int i = 0; i < 57; ++i) {
    expected.insert("name " + std::to_string(i));
    MakeDirectory(kRootInode, "name " + std::to_string(i));
  }
  for (const uint32_t page : {1u, 7u, 56u, 57u, 58u, 1000u}) {
    const auto listed = List(kRootInode, page);
    EXPECT_EQ(Names(listed), expected) << "pages of " << page;
    EXPECT_TRUE(std::is_sorted(listed.begin(), listed.end(),
                               [](const auto& a, const auto& b) { return a.cookie < b.cookie; }));
    EXPECT_GE(listed.front().cookie, 16u);
    EXPECT_LT(listed.back().cookie, uint64_t{1} << 63);
  }
}

TEST_P(ReadDirectoryTest, AttributesAreThoseOfLookup) {
  MakeDirectory(kRootInode, "d", 0700);
  MakeFile(kRootInode, "f", 0640);
  for (const DirEntry& entry : List(kRootInode, 10, 0, true)) {
    const Attr attr = Value(service_->Lookup(ctx_, kRootInode, entry.name));
    EXPECT_EQ(entry.attr.inode, attr.inode);
    EXPECT_EQ(entry.attr.mode, attr.mode);
    EXPECT_EQ(entry.attr.ctime, attr.ctime);
  }
  for (const DirEntry& entry : List(kRootInode, 10, 0, false))
    EXPECT_EQ(entry.attr.mode, entry.name == "d" ? uint32_t{S_IFDIR} : uint32_t{S_IFREG});
}

TEST_P(ReadDirectoryTest, EntriesThatStayAreShownOnceWhileOthersComeAndGo) {
  std::map<std::string, uint64_t> stay;
  for (int i = 0; i < 50; ++i) MakeDirectory(kRootInode, "stay " + std::to_string(i));
  for (int i = 0; i < 50; ++i) MakeDirectory(kRootInode, "go " + std::to_string(i));
  for (const DirEntry& entry : List(kRootInode, 1000)) stay[entry.name] = entry.cookie;

  std::vector<DirEntry> first =
      Value(service_->ReadDirectory(ctx_, kRootInode, 0, 30, false)).entries;
  for (int i = 0; i < 50; ++i) {
    EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "go " + std::to_string(i)));
    MakeDirectory(kRootInode, "new " + std::to_string(i));
  }
  const auto rest = List(kRootInode, 30, first.back().cookie);
  first.insert(first.end(), rest.begin(), rest.end());
  const auto names = Names(first);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(names.count("stay " + std::to_string(i)), 1u);
  for (const DirEntry& entry : rest)
    if (stay.contains(entry.name)) {
      EXPECT_EQ(entry.cookie, stay[entry.name]) << "telldir holds";
    }
}

TEST_P(ReadDirectoryTest, Errors) {
  const InodeId f = MakeFile(kRootInode, "f");
  EXPECT_CODE(Code::kNotDirectory, service_->ReadDirectory(ctx_, f, 0, 10, false));
  EXPECT_CODE(Code::kNotFound, service_->ReadDirectory(ctx_, InodeId(999), 0, 10, false));
  const InodeId secret = MakeDirectory(kRootInode, "secret", 0711);
  EXPECT_CODE(Code::kAccess, service_->ReadDirectory(As(1000, 1000), secret, 0, 10, false));
}

// All names of a length share one slot: every chain of meta/slots.h is walked.
class CollisionTest : public ReadDirectoryTest {
 protected:
  CollisionTest() {
    options_.store.name_hash = [](std::string_view name) { return name.size(); };
  }
  bool Has(const std::string& name) { return service_->Lookup(ctx_, kRootInode, name).has_value(); }
};

TEST_P(CollisionTest, CollidingNamesLiveAndDieIndependently) {
  for (const char* name : {"a", "b", "c", "dd", "ee", "f"}) MakeDirectory(kRootInode, name);
  EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "b"));
  EXPECT_FALSE(Has("b"));
  for (const char* name : {"a", "c", "dd", "ee", "f"}) EXPECT_TRUE(Has(name)) << name;
  MakeDirectory(kRootInode, "b");
  EXPECT_CODE(Code::kExists,
              service_->MakeNode(ctx_, kRootInode, "f", NewNode{S_IFDIR | 0755, 0, 0, ""}));
  EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "a"));
  Reopen();
  for (const char* name : {"b", "c", "dd", "ee", "f"}) EXPECT_TRUE(Has(name)) << name;
  EXPECT_EQ(Names(List(kRootInode, 2)), (std::multiset<std::string>{"b", "c", "dd", "ee", "f"}));
}

TEST_P(CollisionTest, RenameAmongCollidingNames) {
  const InodeId a = MakeDirectory(kRootInode, "a");
  MakeDirectory(kRootInode, "b");
  EXPECT_OK(service_->Rename(ctx_, kRootInode, "a", kRootInode, "c", 0));
  EXPECT_EQ(Value(service_->Lookup(ctx_, kRootInode, "c")).inode, a);
  EXPECT_OK(service_->Rename(ctx_, kRootInode, "c", kRootInode, "b", 0));
  EXPECT_EQ(Value(service_->Lookup(ctx_, kRootInode, "b")).inode, a);
  EXPECT_FALSE(Has("a") || Has("c"));
}

TEST_P(CollisionTest, DirectoryWithRemainsIsRemovedWhole) {
  const InodeId d = MakeDirectory(kRootInode, "dir");
  for (const char* name : {"a", "b", "c"}) MakeFile(d, name);
  for (const char* name : {"a", "b", "c"}) EXPECT_OK(service_->Unlink(ctx_, d, name));
  EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "dir"));
  const std::string begin = keys::Make(keys::Family::kEntry, d.value);
  service_.reset();
  EXPECT_OK(OpenEngine()->Scan(begin, keys::EndOf(begin), [](std::string_view, std::string_view) {
    ADD_FAILURE() << "an entry is left";
    return true;
  }));
}

// Random operations on colliding names against a set.
TEST_P(CollisionTest, RandomChurnMatchesASet) {
  std::set<std::string> expected;
  uint64_t random = 1;
  for (int step = 0; step < 2000; ++step) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    const std::string name(1, static_cast<char>('a' + (random >> 33) % 12));
    const bool make = random >> 60 & 1;
    if (make)
      EXPECT_EQ(service_->MakeNode(ctx_, kRootInode, name, {S_IFDIR | 0755, 0, 0, ""}).has_value(),
                expected.insert(name).second);
    else
      EXPECT_EQ(service_->RemoveDirectory(ctx_, kRootInode, name).has_value(),
                expected.erase(name) == 1);
  }
  std::set<std::string> listed;
  for (const DirEntry& entry : List(kRootInode, 5)) listed.insert(entry.name);
  EXPECT_EQ(listed, expected);
}

PXFS_BOTH_ENGINES(ReadDirectoryTest);
PXFS_BOTH_ENGINES(CollisionTest);

}  // namespace
}  // namespace pxfs::meta
