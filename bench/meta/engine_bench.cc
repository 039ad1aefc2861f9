// The store engine below the metadata service: what a get and a transaction cost at least.
#include <benchmark/benchmark.h>

#include <string>

#include "base/bytes.h"
#include "bench/meta/store_fixture.h"
#include "meta/leveldb_engine.h"

namespace pxfs::bench {
namespace {

using ::benchmark::State;

constexpr uint64_t kKeys = 100'000;
constexpr size_t kValueBytes = 120;  // about an inode's record

std::string KeyOf(uint64_t number) {
  std::string key = "I";
  AppendBigEndian64(key, number);
  return key;
}

// A store with kKeys records; shared by all engine benchmarks, opened at the first use.
class Engine {
 public:
  static meta::KvEngine& Get() {
    static Engine engine;
    return *engine.engine_;
  }

 private:
  Engine() : engine_(Must(meta::OpenLevelDb(directory_.path() + "/engine", true), "open")) {
    for (uint64_t i = 0; i < kKeys; i += 1000) {
      std::vector<meta::KvWrite> batch;
      for (uint64_t k = i; k < i + 1000; ++k)
        batch.push_back({KeyOf(k), std::string(kValueBytes, 'x')});
      Must(engine_->Commit({}, batch, [] {}), "commit");
    }
  }

  TemporaryDirectory directory_;
  std::unique_ptr<meta::KvEngine> engine_;
};

void EngineGet(State& state) {
  meta::KvEngine& engine = Engine::Get();
  std::string value;
  uint64_t i = static_cast<uint64_t>(state.thread_index());
  for (auto _ : state) {
    if (!Must(engine.Get(KeyOf(i * 7919 % kKeys), &value), "get")) state.SkipWithError("lost");
    ++i;
  }
  state.SetItemsProcessed(state.iterations());
}

// A transaction that reads and writes state.range(0) keys.
void EngineCommit(State& state) {
  meta::KvEngine& engine = Engine::Get();
  const auto keys = static_cast<uint64_t>(state.range(0));
  uint64_t i = static_cast<uint64_t>(state.thread_index()) * kKeys / 2;
  for (auto _ : state) {
    std::vector<meta::KvRead> reads;
    std::vector<meta::KvWrite> writes;
    for (uint64_t k = 0; k < keys; ++k) {
      std::string key = KeyOf(i++ % kKeys);
      reads.push_back({key, engine.Version(key)});
      writes.push_back({std::move(key), std::string(kValueBytes, 'y')});
    }
    // Another thread's transaction may share a version: that is a retry, and counted as one
    // operation.
    while (true) {
      const Status done = engine.Commit(reads, writes, [] {});
      if (done) break;
      if (!(done.error() == Code::kConflict)) Must(done, "commit");
      for (meta::KvRead& read : reads) read.version = engine.Version(read.key);
    }
  }
  state.SetItemsProcessed(state.iterations());
}

void EngineSync(State& state) {
  meta::KvEngine& engine = Engine::Get();
  for (auto _ : state) {
    const uint64_t key = static_cast<uint64_t>(state.thread_index());
    Must(engine.Commit({}, {{KeyOf(key), std::string(kValueBytes, 'z')}}, [] {}), "commit");
    Must(engine.Sync(), "sync");
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(EngineGet)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(EngineCommit)->Arg(1)->Arg(4)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(EngineSync)->Threads(1)->Threads(2)->Threads(4)->Threads(16)->UseRealTime();

}  // namespace
}  // namespace pxfs::bench
