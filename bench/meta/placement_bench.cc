// Choosing a volume: part of every create.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/meta/store_fixture.h"
#include "meta/placement.h"

namespace pxfs::bench {
namespace {

void ChooseVolume(benchmark::State& state) {
  std::vector<meta::VolumeInfo> volumes(static_cast<size_t>(state.range(0)));
  for (size_t i = 0; i < volumes.size(); ++i) {
    volumes[i].id = VolumeId(i + 1);
    volumes[i].name = "v" + std::to_string(i + 1);
    volumes[i].total_bytes = volumes[i].free_bytes = 1ull << 40;
  }
  meta::PlacementRequest request;
  for (auto _ : state) {
    ++request.inode.value;
    benchmark::DoNotOptimize(Must(meta::ChooseVolume(request, volumes), "choose a volume"));
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(ChooseVolume)->Arg(3)->Arg(64);

}  // namespace
}  // namespace pxfs::bench
