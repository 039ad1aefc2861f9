// meta/kv_engine.h as both engines keep it, and the lock of a store: meta/store_lock.cc.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "meta/group_sync.h"
#include "meta/store_lock.h"
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class EngineTest : public testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    engine_.reset();
    if (GetParam() == EngineKind::kMemory)
      engine_ = std::make_unique<MemoryEngine>(disk_);
    else
      engine_ = Value(OpenLevelDb(directory_.path() + "/db", true));
  }
  Status Put(const std::string& key, const std::string& value, std::vector<KvRead> reads = {}) {
    return engine_->Commit(reads, {{key, value}}, [] {});
  }
  std::string Get(const std::string& key) {
    std::string value;
    return Value(engine_->Get(key, &value)) ? value : "(none)";
  }

  ScratchDirectory directory_;
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  std::unique_ptr<KvEngine> engine_;
};

TEST_P(EngineTest, CommitsAreAppliedAndKept) {
  EXPECT_OK(engine_->Commit({}, {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"b", "", true}}, [] {}));
  EXPECT_EQ(Get("a"), "1");
  EXPECT_EQ(Get("b"), "(none)");
  EXPECT_OK(engine_->Sync());
  Reopen();
  EXPECT_EQ(Get("c"), "3");
}

TEST_P(EngineTest, ScansAreOrderedAndHalfOpen) {
  EXPECT_OK(
      engine_->Commit({}, {{"b", ""}, {"a", ""}, {"\xff", ""}, {"c", ""}, {"ba", ""}}, [] {}));
  std::string seen;
  EXPECT_OK(engine_->Scan("b", "c", [&](std::string_view key, std::string_view) {
    seen.append(key).append(" ");
    return true;
  }));
  EXPECT_EQ(seen, "b ba ");
  int visits = 0;
  EXPECT_OK(engine_->Scan("", "\xff\xff",
                          [&](std::string_view, std::string_view) { return ++visits < 2; }));
  EXPECT_EQ(visits, 2);
}

TEST_P(EngineTest, AChangedReadSetIsAConflict) {
  const KvRead missing{"k", engine_->Version("k")};
  EXPECT_TRUE(engine_->Settled(missing.version));
  EXPECT_OK(Put("k", "1"));
  EXPECT_CODE(Code::kConflict, Put("k", "2", {missing}));
  EXPECT_EQ(Get("k"), "1");
  const KvRead present{"k", engine_->Version("k")};
  EXPECT_OK(Put("other", "x", {present}));
  EXPECT_OK(engine_->Commit({present}, {{"k", "", true}}, [] {}));
  EXPECT_CODE(Code::kConflict, Put("k", "3", {present}));
}

TEST_P(EngineTest, CachesAreToldBeforeVersionsSettle) {
  const uint64_t before = engine_->Version("k");
  bool told = false;
  EXPECT_OK(engine_->Commit({}, {{"k", "1"}, {"k", "2"}}, [&] {
    told = true;
    EXPECT_FALSE(engine_->Settled(engine_->Version("k")));
    EXPECT_EQ(Get("k"), "2");
  }));
  EXPECT_TRUE(told);
  EXPECT_TRUE(engine_->Settled(engine_->Version("k")));
  EXPECT_NE(engine_->Version("k"), before);
  EXPECT_CODE(Code::kConflict, engine_->Commit({{"k", before}}, {{"k", "3"}}, [] { FAIL(); }));
}

// Each thread adds one to a number as often as it can commit: no addition may be lost.
TEST_P(EngineTest, NoUpdateIsLost) {
  constexpr int kThreads = 4, kAdditions = 300;
  EXPECT_OK(Put("n", "0"));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int done = 0; done < kAdditions;) {
        const KvRead read{"n", engine_->Version("n")};
        const int now = std::stoi(Get("n"));
        const Status added = Put("n", std::to_string(now + 1), {read});
        if (added) ++done;
        if (!added && added.error().code() != Code::kConflict) {
          ADD_FAILURE() << added.error().message();
          return;
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Get("n"), std::to_string(kThreads * kAdditions));
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineTest,
                         testing::Values(EngineKind::kMemory, EngineKind::kLevelDb));

TEST(MemoryEngineTest, FaultsAndPowerCuts) {
  const auto disk = std::make_shared<MemoryDisk>();
  MemoryEngine engine(disk);
  EXPECT_OK(engine.Commit({}, {{"kept", "1"}}, [] {}));
  EXPECT_OK(engine.Sync());
  EXPECT_OK(engine.Commit({}, {{"lost", "1"}}, [] {}));
  engine.SetFault([](const std::vector<KvWrite>&) -> Status { return Fail(Code::kNoSpace); });
  EXPECT_CODE(Code::kNoSpace, engine.Commit({}, {{"never", "1"}}, [] { FAIL(); }));
  disk->CutPower();
  MemoryEngine again(disk);
  std::string value;
  EXPECT_TRUE(Value(again.Get("kept", &value)));
  EXPECT_FALSE(Value(again.Get("lost", &value)));
}

TEST(LevelDbEngineTest, MissingAndDamagedDatabases) {
  ScratchDirectory scratch;
  EXPECT_CODE(Code::kNotFound, OpenLevelDb(scratch.path() + "/none", false));
  const std::string path = scratch.path() + "/db";
  {
    EXPECT_OK(Value(OpenLevelDb(path, true))->Commit({}, {{"a", "b"}}, [] {}));
  }
  std::filesystem::resize_file(path + "/CURRENT", 3);
  const auto damaged = OpenLevelDb(path, false);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), Code::kCorruption);
  EXPECT_NE(damaged.error().message().find(path), std::string::npos);
}

// All who come while a sync is under way share the next one, which begins after they came.
// Bytes in the middle of the newest log change on the disk.
void DamageLog(const std::string& directory) {
  std::string newest;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
  ASSERT_FALSE(newest.empty());
  const auto size = static_cast<int64_t>(std::filesystem::file_size(newest));
  ASSERT_GT(size, 1000);
  std::fstream log(newest, std::ios::in | std::ios::out | std::ios::binary);
  log.seekp(size / 2);
  log << "damaged";
}

// What a machine that stopped was writing, and what a disk spoilt later, look the same in a log. A
// store that was closed has nothing of the first kind.
TEST(LevelDbEngineTest, ALogThatWasClosedIsNotCut) {
  ScratchDirectory scratch;
  const std::string path = scratch.path() + "/db", copy = scratch.path() + "/copy";
  const auto count = [](KvEngine& engine) {
    size_t found = 0;
    EXPECT_OK(engine.Scan("", "z", [&](auto, auto) { return ++found > 0; }));
    return found;
  };
  {
    const auto engine = Value(OpenLevelDb(path, true));
    for (int i = 0; i < 100; ++i)
      EXPECT_OK(engine->Commit({}, {{"key" + std::to_string(i), std::string(50, 'v')}}, [] {}));
    std::filesystem::copy(path, copy);
  }
  ASSERT_NO_FATAL_FAILURE(DamageLog(path));
  const auto damaged = OpenLevelDb(path, false);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), Code::kCorruption);
  EXPECT_NE(damaged.error().message().find("damaged behind byte"), std::string::npos)
      << damaged.error().message();

  ASSERT_NO_FATAL_FAILURE(DamageLog(copy));
  const auto torn = Value(OpenLevelDb(copy, false));
  EXPECT_GT(count(*torn), 0u);
  EXPECT_LT(count(*torn), 100u);
}

TEST(GroupSyncTest, ManyCallersShareASync) {
  constexpr int kCallers = 8;
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  bool open = false;  // the first sync may end
  GroupSync group([&]() -> Status {
    std::unique_lock lock(mutex);
    const int mine = ++begun;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    return mine == 2 ? Status(Fail(Code::kIo, "second")) : Status();
  });
  std::thread first([&] { EXPECT_OK(group.Run()); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return begun == 1; });
  }
  std::vector<std::thread> callers;
  std::atomic<int> failed{0};
  for (int i = 0; i < kCallers; ++i)
    callers.emplace_back([&] {
      if (!group.Run()) ++failed;
    });
  {
    // However many of them have come by now, each needs a sync that is not the first.
    std::lock_guard lock(mutex);
    open = true;
  }
  changed.notify_all();
  first.join();
  for (std::thread& caller : callers) caller.join();
  EXPECT_GE(begun, 2);
  EXPECT_LE(begun, 1 + kCallers);
  EXPECT_GE(failed, 1);  // the second sync's error goes to whom it was for
}

TEST(StoreLockTest, TheSecondIsToldWhoHasIt) {
  ScratchDirectory scratch;
  const std::string path = scratch.path() + "/lock";
  UniqueFd first = Value(LockStore(path, std::chrono::milliseconds(0)));
  const auto second = LockStore(path, std::chrono::milliseconds(20));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
  EXPECT_NE(second.error().message().find(std::to_string(getpid())), std::string::npos);
  first.reset();
  EXPECT_OK(LockStore(path, std::chrono::milliseconds(0)));
}

TEST(StoreLockTest, IsHandedOverWhenTheOwnerDies) {
  ScratchDirectory scratch;
  const std::string path = scratch.path() + "/lock";
  int locked[2], die[2];
  ASSERT_EQ(pipe(locked), 0);
  ASSERT_EQ(pipe(die), 0);
  const pid_t owner = fork();
  ASSERT_GE(owner, 0);
  if (owner == 0) {
    const auto lock = LockStore(path, std::chrono::milliseconds(0));
    char byte = lock ? 1 : 0;
    if (write(locked[1], &byte, 1) != 1) _exit(1);
    close(die[1]);
    _exit(read(die[0], &byte, 1) < 0 ? 1 : 0);
  }
  char byte = 0;
  ASSERT_EQ(read(locked[0], &byte, 1), 1);
  ASSERT_EQ(byte, 1);
  std::thread killer([&] { close(die[1]); });
  EXPECT_OK(LockStore(path, std::chrono::seconds(30)));
  killer.join();
  int status = 0;
  EXPECT_EQ(waitpid(owner, &status, 0), owner);
  for (const int fd : {locked[0], locked[1], die[0]}) close(fd);
}

}  // namespace
}  // namespace pxfs::meta
