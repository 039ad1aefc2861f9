// The metadata store and loss of power: meta/leveldb_env.cc, log_tail.cc, and what LevelDB does
// between them.
//
// Random operations run on a service whose disk writes down all that is done to it. Then the power
// goes at a thousand points of that record. Each time the store opens, is sound, and shows the
// namespace as it was after some operation: the last one that a Sync covered, or a later one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>

#include "base/logging.h"
#include "meta/log_tail.h"
#include "tests/meta/service_fixture.h"
#include "tests/power/recording_env.h"
#include "tests/support/long_run.h"
#include "tests/support/seed.h"

namespace pxfs::power {
namespace {

using namespace meta;

constexpr const char* kDirectory = "/store";
constexpr size_t kWriteBufferBytes = 64 << 10;  // the least that LevelDB takes: a log is soon full
// At least as many cuts fall right behind the start of a new log, table or manifest.
constexpr size_t kLeastCutsAtNewFiles = 20;

size_t Operations() { return test::LongRun() ? 12'000 : 1'500; }
size_t Cuts() { return test::LongRun() ? 10'000 : 1'200; }

std::unique_ptr<KvEngine> OpenEngine(RecordingEnv& disk, bool create = false) {
  return Value(OpenLevelDb(kDirectory, {create, kWriteBufferBytes, &disk}), "open the engine ");
}

// All that a user of the namespace can see.
class Dump {
 public:
  explicit Dump(MetadataService& service) : service_(service) {
    Node(Value(service.GetAttr({}, kRootInode)), "/");
    for (const auto& record : Value(service.ScanRecords("", "", 1000)))
      text_ += "record " + record.key + "=" + record.value + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  void Node(const Attr& attr, const std::string& path) {
    text_ += path + " " + std::to_string(attr.inode.value) + " " + std::to_string(attr.mode) + " " +
             std::to_string(attr.nlink) + " " + std::to_string(attr.size_bytes) + " " +
             std::to_string(attr.generation) + " " + std::to_string(attr.mtime.seconds) + " " +
             std::to_string(attr.ctime.seconds);
    for (const std::string& name : Value(service_.ListXattrs({}, attr.inode)))
      text_ += " " + name + "=" + ToString(Hash(Value(service_.GetXattr({}, attr.inode, name))));
    if (attr.is_symlink()) text_ += " -> " + Value(service_.ReadLink({}, attr.inode));
    if (attr.is_regular())
      for (const Replica& replica : Value(service_.Locate({}, attr.inode)).replicas)
        text_ += " on " + std::to_string(replica.volume.value);
    if (attr.is_directory()) text_ += " " + ToText(Value(service_.GetPolicy(attr.inode)).own);
    text_ += "\n";
    if (!attr.is_directory()) return;
    for (const auto& entry : Value(service_.ReadDirectory({}, attr.inode, 0, 1000, true)).entries)
      Node(entry.attr, path + entry.name + "/");
  }

  MetadataService& service_;
  std::string text_;
};

// Runs operations and notes how the namespace looked after each.
class Workload {
 public:
  explicit Workload(uint64_t seed) : random_(seed) {
    auto engine = OpenEngine(disk_, true);
    EXPECT_OK(FormatStore(*engine, now_));
    service_ = OpenService(std::move(engine));
    VolumeInfo volume;
    volume.name = "v1";
    volume.path = "/v1";
    const VolumeId id = Value(service_->AddVolume(volume)).id;
    EXPECT_OK(service_->ReportVolume({id, true, false, 1ull << 40, 1ull << 39, ""}));
    ctx_.session = Value(service_->OpenSession({"test", {}, nullptr}));
    Sync();
    Note();
  }

  void Run(size_t operations) {
    while (done_ < operations) {
      ++now_.seconds;
      disk_.Mark(static_cast<int64_t>(done_) + 1);
      One();
      ++done_;
      Note();
      if (random_() % 25 == 0) Sync();
    }
    service_.reset();
  }

  std::unique_ptr<MetadataService> OpenService(std::unique_ptr<KvEngine> engine) {
    ServiceOptions options;
    options.store.clock = [this] { return now_; };
    options.session_grace = std::chrono::hours(1);
    return Value(LocalService::Open(std::move(engine), std::move(options), {}), "open ");
  }

  const std::vector<DiskEvent>& events() const { return disk_.events(); }
  // After so many operations.
  const Hash128& state(size_t operations) const { return states_[operations]; }
  // The highest number given to an inode by then.
  InodeId highest(size_t operations) const { return highest_[operations]; }
  SessionId session() const { return ctx_.session; }

 private:
  void Note() {
    states_.push_back(Hash(Dump(*service_).text()));
    highest_.push_back(seen_);
  }
  void Sync() {
    EXPECT_OK(service_->Sync());
    disk_.Mark(-static_cast<int64_t>(done_) - 1);
  }

  // Errors that come of random arguments are fine, a broken store is not.
  template <typename T>
  bool Fine(const Result<T>& result) {
    if (result) return true;
    const Code code = result.error().code();
    EXPECT_TRUE(code != Code::kIo && code != Code::kCorruption) << result.error().message();
    return false;
  }

  std::string Name() { return std::string(1 + random_() % 3 * 40, "abcdefgh"[random_() % 8]); }
  InodeId Directory() { return directories_[random_() % directories_.size()]; }
  std::optional<InodeId> Any() {
    const auto page = service_->ReadDirectory(ctx_, Directory(), 0, 100, false);
    if (!page || page->entries.empty()) return std::nullopt;
    return page->entries[random_() % page->entries.size()].attr.inode;
  }

  void One() {
    const InodeId directory = Directory();
    const std::string name = Name();
    const auto any = Any();
    switch (random_() % 14) {
      case 0:
      case 1: {
        const auto made = service_->MakeNode(ctx_, directory, name, {S_IFDIR | 0755, 0, 0, ""});
        if (!Fine(made)) break;
        directories_.push_back(made->inode);
        seen_ = std::max(seen_, made->inode);
        if (directories_.size() > 8)
          directories_.erase(directories_.begin() + 1);  // it may go on existing
        break;
      }
      case 2:
      case 3: {
        const auto made = service_->Create(ctx_, directory, name, {S_IFREG | 0644, 0, 0, ""});
        if (!Fine(made)) break;
        seen_ = std::max(seen_, made->attr.inode);
        open_.push_back(made->attr.inode);
        break;
      }
      case 4: {
        const auto made =
            service_->MakeNode(ctx_, directory, name, {S_IFLNK | 0777, 0, 0, Name() + Name()});
        if (Fine(made)) seen_ = std::max(seen_, made->inode);
        break;
      }
      case 5:
        if (any) Fine(service_->Link(ctx_, *any, directory, name));
        break;
      case 6:
        Fine(service_->Unlink(ctx_, directory, name));
        break;
      case 7:
        Fine(service_->RemoveDirectory(ctx_, directory, name));
        break;
      case 8:
        Fine(service_->Rename(ctx_, directory, name, Directory(), Name(), random_() % 3));
        break;
      case 9: {
        AttrChange change;
        change.mode = random_() % 01000;
        change.mtime_now = true;
        if (any) Fine(service_->SetAttr(ctx_, *any, change));
        break;
      }
      case 10:
      case 11:
        if (any)
          Fine(service_->SetXattr(ctx_, *any, "user." + name.substr(0, 1),
                                  std::string(random_() % 3000, name[0]), 0));
        break;
      case 12: {
        const RecordWrite write{"job/" + name.substr(0, 1), std::to_string(done_)};
        Fine(service_->WriteRecords({&write, 1}, /*sync=*/false));
        break;
      }
      default: {
        if (open_.empty()) break;
        const InodeId inode = open_.back();
        open_.pop_back();
        ContentState content;
        content.size_bytes = random_() % 100'000;
        content.mtime = content.ctime = content.atime = now_;
        Fine(service_->CloseWrite(ctx_, inode, content));
        break;
      }
    }
  }

  std::mt19937_64 random_;
  RecordingEnv disk_;
  Timestamp now_{1'700'000'000, 0};
  std::unique_ptr<MetadataService> service_;
  CallContext ctx_;
  std::vector<InodeId> directories_{kRootInode}, open_;
  size_t done_ = 0;
  std::vector<Hash128> states_;
  InodeId seen_ = kRootInode;
  std::vector<InodeId> highest_;
};

class PowerCut {
 public:
  PowerCut(Workload& workload, uint64_t seed) : workload_(workload), random_(seed) {}

  // Opens what is left, and looks; sometimes the power goes once more meanwhile.
  void Check(const DiskImage& image, const Bounds& bounds) {
    const bool again = random_() % 4 == 0;
    RecordingEnv disk(image);
    Open(disk, bounds, /*change=*/!again);
    if (testing::Test::HasFailure() || !again) return;
    DiskReplay replay(image);
    const size_t cut = random_() % (disk.events().size() + 1);
    for (size_t i = 0; i < cut; ++i) replay.Apply(disk.events()[i]);
    RecordingEnv left(replay.AfterPowerCut(random_));
    Open(left, bounds, /*change=*/true);
    ++cuts_while_opening_;
  }
  size_t cuts_while_opening() const { return cuts_while_opening_; }

 private:
  void Open(RecordingEnv& disk, const Bounds& bounds, bool change) {
    auto engine = OpenEngine(disk);
    if (!engine) return;
    EXPECT_EQ(Value(CheckStore(*engine)), std::vector<std::string>());
    const auto service = workload_.OpenService(std::move(engine));
    if (!service) return;
    const std::string text = Dump(*service).text();
    const Hash128 state = Hash(text);
    for (size_t i = bounds.durable; i <= bounds.begun; ++i) {
      if (!(workload_.state(i) == state)) continue;
      // An operation has the number to itself once it has returned.
      const size_t returned = std::max(bounds.begun, size_t{1}) - 1;
      if (change) Continue(*service, workload_.highest(returned));
      return;
    }
    ADD_FAILURE() << "not as it was after any of the operations " << bounds.durable << " to "
                  << bounds.begun << ":\n"
                  << text;
  }

  // Numbers that objects on volumes may bear are not used again.
  void Continue(MetadataService& service, InodeId highest) {
    const auto made = Value(service.MakeNode({.session = workload_.session()}, kRootInode, "new",
                                             {S_IFDIR | 0755, 0, 0, ""}));
    EXPECT_GT(made.inode, highest);
    EXPECT_OK(service.Sync());
  }

  Workload& workload_;
  std::mt19937_64 random_;
  size_t cuts_while_opening_ = 0;
};

TEST(PowerStoreTest, WhatWasSyncedIsThereAndTheRestIsAPrefix) {
  // Torn tails are what this is about.
  EXPECT_TRUE(InitLogging({.file = "", .level = "error"}));
  const uint64_t seed = test::SeedOfRun();
  Workload workload(seed);
  workload.Run(Operations());
  ASSERT_FALSE(HasFailure());

  const auto& events = workload.events();
  std::mt19937_64 random(seed + 1);
  const std::vector<size_t> points = CutPoints(events, Cuts(), random);
  ASSERT_FALSE(points.empty()) << "the store was never synced";

  DiskReplay replay;
  Bounds bounds;
  PowerCut cut(workload, seed + 2);
  size_t done = 0, created = 0, at_new_files = 0;
  for (const size_t point : points) {
    for (; done < point; ++done) {
      const DiskEvent& event = events[done];
      replay.Apply(event);
      if (event.kind == DiskEvent::Kind::kCreate) created = done;
      if (event.kind != DiskEvent::Kind::kMark) continue;
      if (event.number > 0) bounds.begun = static_cast<size_t>(event.number);
      if (event.number < 0) bounds.durable = static_cast<size_t>(-event.number - 1);
    }
    if (point - created < 20) ++at_new_files;
    cut.Check(replay.AfterPowerCut(random), bounds);
    ASSERT_FALSE(HasFailure()) << "after event " << point << " of " << events.size();
  }
  EXPECT_GE(at_new_files, kLeastCutsAtNewFiles);
  std::cout << points.size() << " power cuts in " << events.size() << " writes and syncs of "
            << Operations() << " operations, " << at_new_files
            << " near the start of a new file, and " << cut.cuts_while_opening()
            << " more while the store opened" << std::endl;
}

// ---- the gaps that LevelDB leaves, one by one ----

// What is synced in one log is kept although the next log is begun.
TEST(PowerStoreTest, ASyncCoversEarlierLogs) {
  RecordingEnv disk;
  auto engine = OpenEngine(disk, true);
  const std::string value(1000, 'v');
  for (int i = 0; i < 100; ++i) EXPECT_OK(engine->Commit({}, {{std::to_string(i), value}}, [] {}));
  EXPECT_OK(engine->Sync());
  DiskReplay replay;
  int logs = 0;
  for (const DiskEvent& event : disk.events()) {
    replay.Apply(event);
    if (event.kind == DiskEvent::Kind::kCreate && event.path.ends_with(".log")) ++logs;
  }
  ASSERT_GE(logs, 2);
  std::mt19937_64 random(1);
  for (int cut = 0; cut < 10; ++cut) {
    RecordingEnv left(replay.AfterPowerCut(random));
    auto again = OpenEngine(left);
    ASSERT_NE(again, nullptr);
    for (int i = 0; i < 100; ++i) {
      std::string found;
      EXPECT_TRUE(Value(again->Get(std::to_string(i), &found))) << i;
    }
  }
}

class FailingSyncEnv final : public DiskEnv {
 public:
  explicit FailingSyncEnv(DiskEnv* disk) : DiskEnv(disk), disk_(*disk) {}
  leveldb::Status SyncFile(const std::string& path) override { return disk_.SyncFile(path); }
  leveldb::Status Truncate(const std::string& path, uint64_t size) override {
    return disk_.Truncate(path, size);
  }
  leveldb::Status Reserve(const std::string& path, uint64_t bytes) override {
    return disk_.Reserve(path, bytes);
  }
  leveldb::Status SyncDirectory(const std::string& path) override {
    if (failing) return leveldb::Status::IOError(path, "input/output error");
    return disk_.SyncDirectory(path);
  }
  bool failing = false;

 private:
  DiskEnv& disk_;
};

TEST(PowerStoreTest, AfterAFailedSyncNothingIsPromisedAnyMore) {
  RecordingEnv disk;
  FailingSyncEnv failing(&disk);
  auto engine = Value(OpenLevelDb(kDirectory, {true, kWriteBufferBytes, &failing}));
  EXPECT_OK(engine->Commit({}, {{"a", "1"}}, [] {}));
  failing.failing = true;
  const std::string value(1000, 'v');
  Status status;
  // The names of new files are synced when the log is full.
  for (int i = 0; i < 200 && status; ++i) status = engine->Commit({}, {{"b", value}}, [] {});
  if (status) status = engine->Sync();
  EXPECT_CODE(Code::kIo, status);
  failing.failing = false;
  EXPECT_CODE(Code::kIo, engine->Sync());
  EXPECT_CODE(Code::kIo, engine->Commit({}, {{"c", "3"}}, [] {}));
}

// ---- torn logs ----

// The log that LevelDB writes for `values`, from a database that never closed.
std::string LogOf(const std::vector<std::string>& values, std::vector<size_t>* ends) {
  RecordingEnv disk;
  auto engine = OpenEngine(disk, true);
  const auto log = [&] {
    std::string content;
    uint64_t file = 0;
    for (const DiskEvent& event : disk.events()) {
      if (event.kind == DiskEvent::Kind::kCreate && event.path.ends_with(".log")) file = event.file;
      if (event.kind == DiskEvent::Kind::kAppend && event.file == file) content += event.data;
    }
    return content;
  };
  for (const std::string& value : values) {
    EXPECT_OK(engine->Commit({}, {{"k", value}}, [] {}));
    ends->push_back(log().size());
  }
  return log();
}

TEST(LogTailTest, EndsAfterTheLastWholeRecord) {
  std::vector<size_t> ends;
  // Within a block, over the end of one, over several, and up to a block's last bytes.
  const std::string log =
      LogOf({"a", std::string(20'000, 'b'), std::string(20'000, 'c'), "", std::string(45'000, 'd')},
            &ends);
  EXPECT_EQ(WholeRecords(""), 0u);
  EXPECT_EQ(WholeRecords(log), log.size());
  EXPECT_EQ(WholeRecords(log + std::string(5000, '\0')), log.size());
  EXPECT_EQ(WholeRecords(std::string(100'000, '\0')), 0u);
  size_t before = 0;
  for (const size_t end : ends) {
    EXPECT_EQ(WholeRecords(log.substr(0, end)), end);
    EXPECT_EQ(WholeRecords(log.substr(0, end - 1)), before);
    std::string damaged = log;
    damaged[end - 1] = static_cast<char>(damaged[end - 1] ^ 1);
    EXPECT_EQ(WholeRecords(damaged), before);
    damaged = log;
    std::fill(damaged.begin() + static_cast<std::ptrdiff_t>(before),
              damaged.begin() + static_cast<std::ptrdiff_t>(end), '\0');
    EXPECT_EQ(WholeRecords(damaged), before);
    before = end;
  }
}

TEST(LogTailTest, ABlocksFilledUpEndIsNoDamage) {
  for (size_t size = 32'700; size <= 32'768; ++size) {
    std::vector<size_t> ends;
    const std::string log = LogOf({std::string(size, 'x'), "y"}, &ends);
    EXPECT_EQ(WholeRecords(log), log.size()) << size;
  }
}

}  // namespace
}  // namespace pxfs::power
