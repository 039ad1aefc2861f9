// Opening and reopening the store, and what is wrong with it: meta/local_service.cc, schema.cc,
// records.cc, check.cc.
#include <future>

#include "meta/reclaim_queue.h"
#include "meta/repair.h"
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

bool Mentions(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

LocalOptions At(const std::string& directory, bool create = false) {
  LocalOptions options;
  options.directory = directory;
  options.create = create;
  return options;
}

TEST(OpenLocalServiceTest, CreateOpenAndRefuse) {
  ScratchDirectory scratch;
  const std::string directory = scratch.path() + "/meta";
  EXPECT_CODE(Code::kNotFound, OpenLocalService(At(directory)));
  auto service = Value(OpenLocalService(At(directory, true)));
  EXPECT_CODE(Code::kBusy, OpenLocalService(At(directory)));
  CallContext ctx;
  EXPECT_OK(service->MakeNode(ctx, kRootInode, "d", {S_IFDIR | 0755, 0, 0, ""}));
  EXPECT_OK(service->Sync());
  service.reset();
  EXPECT_CODE(Code::kExists, OpenLocalService(At(directory, true)));
  service = Value(OpenLocalService(At(directory)));
  EXPECT_OK(service->Lookup(ctx, kRootInode, "d"));
}

// A store in which nobody gets past the first inode of a scan until it is told.
class HeldScans final : public KvEngine {
 public:
  explicit HeldScans(std::unique_ptr<KvEngine> engine, std::shared_future<void> release)
      : engine_(std::move(engine)), release_(std::move(release)) {}
  uint64_t Version(std::string_view key) const override { return engine_->Version(key); }
  bool Settled(uint64_t version) const override { return engine_->Settled(version); }
  Result<bool> Get(std::string_view key, std::string* value) const override {
    return engine_->Get(key, value);
  }
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    const bool held = begin == keys::Make(keys::Family::kInode);
    return engine_->Scan(begin, end, [&](std::string_view key, std::string_view value) {
      const bool more = visit(key, value);
      if (held) release_.wait();
      return more;
    });
  }
  Status Commit(const std::vector<KvRead>& reads, const std::vector<KvWrite>& writes,
                const std::function<void()>& applied) override {
    return engine_->Commit(reads, writes, applied);
  }
  Status Sync() override { return engine_->Sync(); }

 private:
  const std::unique_ptr<KvEngine> engine_;
  const std::shared_future<void> release_;
};

// How long a store takes to open must not depend on how much is in it: programs wait for it.
TEST(OpenLocalServiceTest, AfterACrashInodesAreCountedWhileTheServiceWorks) {
  ScratchDirectory scratch;
  const CallContext ctx;
  const auto open = [&] { return Value(OpenLevelDb(scratch.path() + "/db", true)); };
  {
    auto engine = open();
    EXPECT_OK(FormatStore(*engine, {}));
    auto service = Value(LocalService::Open(std::move(engine), {}, {}));
    for (int i = 0; i < 50; ++i)
      EXPECT_OK(service->MakeNode(ctx, kRootInode, std::to_string(i), {S_IFDIR | 0755, 0, 0, ""}));
  }
  auto engine = Value(OpenLevelDb(scratch.path() + "/db", false));
  EXPECT_OK(
      engine->Commit({}, {{keys::Counter("totals"), "", true}}, [] {}));  // as a crash leaves it
  std::promise<void> release;
  auto service = Value(LocalService::Open(
      std::make_unique<HeldScans>(std::move(engine), release.get_future().share()), {}, {}));
  ASSERT_NE(service, nullptr);
  for (int i = 0; i < 7; ++i)
    EXPECT_OK(service->RemoveDirectory(ctx, kRootInode, std::to_string(i)));
  EXPECT_OK(service->MakeNode(ctx, kRootInode, "new", {S_IFDIR | 0755, 0, 0, ""}));
  auto statistics = std::async(std::launch::async, [&] { return service->GetStatistics(); });
  EXPECT_EQ(statistics.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout)
      << "a number that is not known yet";
  release.set_value();
  EXPECT_EQ(Value(statistics.get()).inodes, 1u + 50 - 7 + 1);
  service.reset();
  engine = Value(OpenLevelDb(scratch.path() + "/db", false));
  std::string saved;
  EXPECT_TRUE(Value(engine->Get(keys::Counter("totals"), &saved)));
  EXPECT_EQ(Value(Decode<TotalsRecord>("totals", saved)).inodes, 1u + 50 - 7 + 1);
}

// Tickets are drawn before the commit: what comes in behind the last scan is not left for the retry
// long after, as its space is wanted now.
TEST(ReclaimQueueTest, AnItemThatIsCommittedLateIsFoundSoon) {
  ScratchDirectory scratch;
  auto engine = Value(OpenLevelDb(scratch.path() + "/db", true));
  EXPECT_OK(FormatStore(*engine, {}));
  auto store = Value(Store::Open(std::move(engine), {}));
  ASSERT_NE(store, nullptr);
  ReclaimQueue queue(*store, std::chrono::hours(1));
  const ReclaimRecord early{InodeId(100), {}, false}, late{InodeId(200), {}, false};
  const auto take = [&](uint32_t limit) {
    std::vector<uint64_t> inodes;
    for (const auto& item : Value(queue.Wait(limit, std::chrono::seconds(20))))
      inodes.push_back(item.inode.value);
    return inodes;
  };
  EXPECT_OK(store->Run([&](Transaction& tx) -> Status {
    for (int i = 0; i < 3; ++i) PXFS_TRY(queue.Add(tx, late));
    PXFS_TRY(store->Run([&](Transaction& other) { return queue.Add(other, early); }));
    EXPECT_EQ(take(10), std::vector<uint64_t>{100});
    return {};
  }));
  queue.Announce();
  EXPECT_EQ(take(2), (std::vector<uint64_t>{200, 200}));
  EXPECT_EQ(take(2), std::vector<uint64_t>{200});
}

class StoreTest : public ServiceTest {
 protected:
  // Writes into the store behind the service's back.
  // As fsck does, without volumes at hand.
  void Repair() {
    const CheckOptions options{options_.store.name_hash};
    EXPECT_OK(MendRecords(*OpenEngine(), options));
    auto store = Value(Store::Open(OpenEngine(), options_.store));
    ASSERT_NE(store, nullptr);
    for (int pass = 0; pass < 8; ++pass)
      if (!Value(RepairOnce(*store, options, [](InodeId, const std::set<VolumeId>&) {
            return Result<std::optional<Location>>(std::nullopt);
          })))
        break;
    store.reset();
    EXPECT_OK(LocalService::Open(OpenEngine(), options_, {}));  // ends sessions
  }
  // Engines differ in nothing here, and LevelDB takes its time to be opened.
  bool Repairs() const { return GetParam() == EngineKind::kMemory; }
  // Exactly these records.
  void Restore(const std::vector<KvWrite>& records) {
    std::vector<KvWrite> writes;
    EXPECT_OK(OpenEngine()->Scan("", "\xff", [&](std::string_view key, std::string_view) {
      writes.push_back({std::string(key), "", true});
      return true;
    }));
    writes.insert(writes.end(), records.begin(), records.end());
    Write(writes);
  }
  void Write(const std::string& key, const std::string& value) { Write({{key, value, false}}); }
  void Write(const std::vector<KvWrite>& writes) {
    service_.reset();
    sound_ = false;
    EXPECT_OK(OpenEngine()->Commit({}, writes, [] {}));
  }
  std::string Read(const std::string& key) {
    std::string value;
    EXPECT_TRUE(Value(OpenEngine()->Get(key, &value))) << keys::Describe(key);
    return value;
  }
  InodeRecord ReadInode(InodeId inode) {
    return Value(Decode<InodeRecord>(keys::Inode(inode), Read(keys::Inode(inode))));
  }
  Error OpenError() {
    auto service = LocalService::Open(OpenEngine(), options_, {});
    if (!service) return service.error();
    ADD_FAILURE() << "opened";
    return Error(Code::kIo);
  }
};

TEST_P(StoreTest, ANewerSchemaIsRefused) {
  Write(keys::Counter("schema"), Encode(SchemaRecord{kSchemaVersion + 1, 7}));
  const Error error = OpenError();
  EXPECT_EQ(error.code(), Code::kInvalid);
  EXPECT_TRUE(Mentions(error.message(), std::to_string(kSchemaVersion + 1)));
  EXPECT_TRUE(Mentions(error.message(), "newer pxfs")) << error.message();
}

TEST_P(StoreTest, AMissingOrDamagedSchemaIsRefused) {
  Write(keys::Counter("schema"), "\xff\xff");
  EXPECT_EQ(OpenError().code(), Code::kCorruption);
  Write({{keys::Counter("schema"), "", true}});
  EXPECT_EQ(OpenError().code(), Code::kNotFound);
}

TEST_P(StoreTest, DamagedRecordsAreNamedAndTheRestIsServed) {
  const InodeId d = MakeDirectory(kRootInode, "d"), f = MakeFile(d, "f"), g = MakeFile(d, "g");
  for (const std::string& damage :
       {std::string("\xff\xff\xff"), std::string(), std::string(300, 'x')}) {
    Write(keys::Inode(f), damage);
    Start();
    const auto attr = service_->GetAttr(ctx_, f);
    ASSERT_FALSE(attr);
    EXPECT_EQ(attr.error().code(), Code::kCorruption);
    EXPECT_TRUE(Mentions(attr.error().message(), "inode")) << attr.error().message();
    EXPECT_CODE(Code::kCorruption, service_->Lookup(ctx_, d, "f"));
    EXPECT_CODE(Code::kCorruption, service_->Unlink(ctx_, d, "f"));
    EXPECT_CODE(Code::kCorruption, service_->ReadDirectory(ctx_, d, 0, 10, true));
    EXPECT_OK(service_->Lookup(ctx_, d, "g"));
    EXPECT_EQ(Value(service_->ReadDirectory(ctx_, d, 0, 10, false)).entries.size(), 2u);
    EXPECT_OK(service_->GetAttr(ctx_, g));
  }
}

TEST_P(StoreTest, AMissingInodeIsCorruptionNotAbsence) {
  const InodeId f = MakeFile(kRootInode, "f");
  Write({{keys::Inode(f), "", true}});
  Start();
  EXPECT_CODE(Code::kCorruption, service_->Lookup(ctx_, kRootInode, "f"));
  EXPECT_CODE(Code::kCorruption, service_->ReadDirectory(ctx_, kRootInode, 0, 10, true));
}

// Every kind of record, cut short and scribbled over: an answer, never a crash.
TEST_P(StoreTest, NoDamageCrashes) {
  const InodeId d = MakeDirectory(kRootInode, "d"), f = MakeFile(d, "f");
  EXPECT_OK(service_->Link(ctx_, f, kRootInode, "l"));
  EXPECT_OK(service_->SetXattr(ctx_, f, "user.a", "b", 0));
  EXPECT_OK(service_->Create(ctx_, kRootInode, "", {S_IFREG | 0600, 0, 0, ""}));
  EXPECT_OK(service_->Reserve(ctx_, d, std::vector<ReserveItem>(1)));
  MakeFile(d, "gone");
  EXPECT_OK(service_->Unlink(ctx_, d, "gone"));
  Policy policy;
  policy.placement = Placement::kMostFree;
  EXPECT_OK(service_->SetPolicy(ctx_, d, policy));
  service_.reset();
  sound_ = false;
  std::vector<KvWrite> records;
  EXPECT_OK(OpenEngine()->Scan("", "\xff", [&](std::string_view key, std::string_view value) {
    records.push_back({std::string(key), std::string(value)});
    return true;
  }));
  for (const KvWrite& record : records) {
    const std::string half = record.value.substr(0, record.value.size() / 2);
    for (const std::string& damage : {half, std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
                                      std::string("\x0a\xff"), record.value + "\x0f"}) {
      Write(record.key, damage);
      (void)CheckStore(*OpenEngine());
      if (auto service = LocalService::Open(OpenEngine(), options_, {})) {
        CallContext ctx;
        (void)(*service)->Unlink(ctx, kRootInode, "l");
        (void)(*service)->ReadDirectory(ctx, d, 0, 10, true);
        (void)(*service)->Rename(ctx, d, "f", kRootInode, "l", 0);
        (void)(*service)->FilesToRecover();
        (void)(*service)->WaitReclaimable(10, std::chrono::milliseconds(0));
        (void)(*service)->ListXattrs(ctx, f);
        (void)(*service)->ListVolumes();
      }
      Write(records);
      if (!Repairs() || record.key.front() == static_cast<char>(keys::Family::kVolume) ||
          record.key == keys::Counter("schema"))
        continue;  // nothing else says what they say
      Write(record.key, damage);
      Repair();
      EXPECT_EQ(Problems(), std::vector<std::string>()) << keys::Describe(record.key);
      Restore(records);
    }
  }
}

TEST_P(StoreTest, TheCheckerFindsWhatIsWrong) {
  const InodeId d = MakeDirectory(kRootInode, "d"), f = MakeFile(d, "f"), g = MakeFile(d, "g");
  EXPECT_OK(service_->Link(ctx_, f, kRootInode, "l"));
  const InodeId sub = MakeDirectory(d, "sub");
  service_.reset();
  sound_ = false;
  EXPECT_EQ(Problems(), std::vector<std::string>());
  std::vector<KvWrite> good;
  EXPECT_OK(OpenEngine()->Scan("", "\xff", [&](std::string_view key, std::string_view value) {
    good.push_back({std::string(key), std::string(value)});
    return true;
  }));

  const auto changed = [&](InodeId inode, auto change) {
    InodeRecord record = ReadInode(inode);
    change(record);
    return std::vector<KvWrite>{{keys::Inode(inode), Encode(record)}};
  };
  const InodeId none(7777);
  const struct {
    const char* expected;
    std::vector<KvWrite> damage;
  } kCases[] = {
      {"refers to it", {{keys::Inode(g), "", true}}},
      {"3 names", {{keys::Entry(kRootInode, 99), Encode(EntryRecord{"x", f, S_IFREG, false})}}},
      {"link count", changed(g, [](InodeRecord& r) { r.attr.nlink = 2; })},
      {"counts 4 entries", changed(d, [](InodeRecord& r) { r.entries = 4; })},
      {"counts 0 directories", changed(d, [](InodeRecord& r) { r.directories = 0; })},
      {"and is not", changed(g, [](InodeRecord& r) { r.name = "h"; })},
      {"form a loop", changed(d, [&](InodeRecord& r) { r.parent = sub; })},
      {"primary", changed(g, [](InodeRecord& r) { r.replicas[0].primary = false; })},
      {"index of volumes", {{keys::VolumeInode(volume_, g), "", true}}},
      {"indexed on a volume", {{keys::VolumeInode(volume_, none), ""}}},
      {"writers", {{keys::OpenForWrite(g, SessionId()), ""}}},
      {"open for writing", {{keys::OpenForWrite(none, SessionId()), ""}}},
      {"an orphan", {{keys::Orphan(g), Encode(OrphanRecord{{{ctx_.session, false}}, false})}}},
      {"no name", changed(sub, [](InodeRecord& r) { r.attr.nlink = 0; })},
      {"extended attributes", {{keys::Xattr(g, "user.a"), "b"}}},
      {"ACLs", changed(g, [](InodeRecord& r) { r.access_acl = true; })},
      {"queued for reclaim", {{keys::Reclaim(5), Encode(ReclaimRecord{g, {}, true})}}},
      {"link records", {{keys::Link(g, d, 5), EncodeLinkName("g")}}},
      {"nobody's", changed(sub, [](InodeRecord& r) { r.detached = true; })},
      {"a policy",
       {{keys::Policy(g), Encode(Policy{Placement::kSpread, "", {}, {}, {}, {}, {}, {}})}}},
      {"session 99",
       {{keys::Reservation(SessionId(99), none), Encode(ReservationRecord{false, volume_, 1})}}},
      {"given out again", {{keys::Counter("next inode"), EncodeNumber(2)}}},
      {"no such family", {{"zzz", "?"}}},
      {"damaged", {{keys::Inode(g), "\xff"}}},
  };
  for (const auto& c : kCases) {
    Write(c.damage);
    std::string all;
    for (const std::string& problem : Problems()) all += problem + "\n";
    EXPECT_TRUE(Mentions(all, c.expected)) << "expected: " << c.expected << "\n" << all;
    if (!Repairs()) {
      std::vector<KvWrite> undo;
      for (const KvWrite& write : c.damage) undo.push_back({write.key, "", true});
      Write(undo);
      Write(good);
      EXPECT_EQ(Problems(), std::vector<std::string>()) << c.expected;
      continue;
    }
    // In parts of two inodes the same is found as in one.
    const auto found = Problems();
    EXPECT_EQ(Value(CheckStore(*OpenEngine(), {options_.store.name_hash, false, 2})), found)
        << c.expected;
    Repair();
    EXPECT_EQ(Problems(), std::vector<std::string>()) << c.expected;
    Restore(good);
    EXPECT_EQ(Problems(), std::vector<std::string>()) << c.expected;
  }
}

TEST_P(StoreTest, AnEntryThatItsNameDoesNotLeadToIsFound) {
  const InodeId f = MakeFile(kRootInode, "f");
  service_.reset();
  std::string slot_key;
  EXPECT_OK(OpenEngine()->Scan(keys::Entry(kRootInode, 0), keys::Entry(kRootInode, UINT64_MAX),
                               [&](std::string_view key, std::string_view) {
                                 slot_key = key;
                                 return true;
                               }));
  Write({{slot_key, "", true},
         {keys::Entry(kRootInode, 12345), Encode(EntryRecord{"f", f, S_IFREG, false})}});
  const auto problems = Problems();
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_TRUE(Mentions(problems[0], "cannot be found by its name")) << problems[0];
}

TEST_P(StoreTest, SessionsThatOnlyRecordsSpeakOfAreEnded) {
  const InodeId f = MakeFile(kRootInode, "f");
  EXPECT_OK(service_->OpenForWrite(ctx_, f, {}));
  Write({{keys::Session(ctx_.session), "", true}});
  Start();
  EXPECT_EQ(Value(service_->FilesToRecover()).size(), 1u);
  EXPECT_OK(service_->CommitRecovered(f, Content(1)));
  service_.reset();
  EXPECT_EQ(Problems(), std::vector<std::string>());
}

TEST_P(StoreTest, InodeNumbersAreNeverUsedAgain) {
  const InodeId first = MakeFile(kRootInode, "a");
  EXPECT_OK(service_->Unlink(ctx_, kRootInode, "a"));
  EXPECT_OK(service_->Reclaimed(Value(service_->WaitReclaimable(9, std::chrono::milliseconds(0)))));
  Reopen();
  ctx_.session = OpenSession("again");
  EXPECT_GT(MakeFile(kRootInode, "a"), first);
}

TEST(FullDiskTest, AFailedCommitChangesNothing) {
  const auto disk = std::make_shared<MemoryDisk>();
  auto engine = std::make_unique<MemoryEngine>(disk);
  ASSERT_TRUE(FormatStore(*engine, {1, 0}));
  MemoryEngine* faults = engine.get();
  auto service = Value(LocalService::Open(std::move(engine), {}, {}));
  CallContext ctx;
  EXPECT_OK(service->MakeNode(ctx, kRootInode, "a", {S_IFDIR | 0755, 0, 0, ""}));
  faults->SetFault(
      [](const std::vector<KvWrite>&) -> Status { return Fail(Code::kNoSpace, "full"); });
  EXPECT_CODE(Code::kNoSpace,
              service->MakeNode(ctx, kRootInode, "b", NewNode{S_IFDIR | 0755, 0, 0, ""}));
  EXPECT_CODE(Code::kNoSpace, service->RemoveDirectory(ctx, kRootInode, "a"));
  EXPECT_CODE(Code::kNotFound, service->Lookup(ctx, kRootInode, "b"));
  EXPECT_OK(service->Lookup(ctx, kRootInode, "a"));
  EXPECT_EQ(Value(service->GetAttr(ctx, kRootInode)).nlink, 3u);
  faults->SetFault(nullptr);
  EXPECT_OK(service->RemoveDirectory(ctx, kRootInode, "a"));
  service.reset();
  EXPECT_EQ(Value(CheckStore(*std::make_unique<MemoryEngine>(disk))), std::vector<std::string>());
}

PXFS_BOTH_ENGINES(StoreTest);

}  // namespace
}  // namespace pxfs::meta
