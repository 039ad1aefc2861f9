// What an open pays for being counted as heat, and for the choice of a replica.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "volumes/heat_table.h"
#include "volumes/volume_load.h"

namespace pxfs::bench {
namespace {

using ::benchmark::State;

// The table of a mount, with `files` files in it; in $TMPDIR.
class Table {
 public:
  explicit Table(uint64_t files) {
    const char* parent = ::getenv("TMPDIR");
    std::string path = std::string(parent ? parent : "/tmp") + "/pxfs-heat-bench-XXXXXX";
    if (!::mkdtemp(path.data())) std::abort();
    directory_ = path;
    auto table = volumes::HeatTable::Open(path + "/heat", {});
    if (!table) std::abort();
    table_ = std::move(*table);
    for (uint64_t inode = 1; inode <= files; ++inode) table_->CountOpen(InodeId(inode), 1);
  }
  ~Table() {
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }
  volumes::HeatTable& operator*() { return *table_; }

 private:
  std::string directory_;
  std::unique_ptr<volumes::HeatTable> table_;
};

// Opens of as many files in turn.
void CountOpen(State& state) {
  static std::unique_ptr<Table> table;
  const auto files = static_cast<uint64_t>(state.range(0));
  if (state.thread_index() == 0) table = std::make_unique<Table>(files);
  uint64_t inode = 1 + static_cast<uint64_t>(state.thread_index()) * 7919;
  for (auto _ : state) {
    (**table).CountOpen(InodeId(1 + inode % files), 4096);
    ++inode;
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) table.reset();
}
BENCHMARK(CountOpen)->Arg(1)->Arg(30'000)->Arg(1'000'000)->Threads(1)->Threads(2);

void Hottest(State& state) {
  Table table(static_cast<uint64_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize((*table).Hottest(4096));
}
BENCHMARK(Hottest)->Arg(100)->Arg(60'000)->Unit(benchmark::kMicrosecond);

// An open and its release, of a file with one replica.
void CountLoad(State& state) {
  static volumes::VolumeLoad load;
  for (auto _ : state) {
    load.Begin(VolumeId(1), 4096);
    load.End(VolumeId(1), 4096);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(CountLoad)->Threads(1)->Threads(2);

void ChooseOfThree(State& state) {
  volumes::VolumeLoad load;
  for (auto _ : state)
    benchmark::DoNotOptimize(load.Order({VolumeId(1), VolumeId(2), VolumeId(3)}));
}
BENCHMARK(ChooseOfThree);

}  // namespace
}  // namespace pxfs::bench
