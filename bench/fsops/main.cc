// fsops: times one operation on one directory and prints the result as a line of JSON. bench/run
// drives it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/fsops/operations.h"

namespace pxfs::bench {
namespace {

std::vector<Operation> AllOperations() {
  std::vector<Operation> all(MetadataOperations().begin(), MetadataOperations().end());
  all.insert(all.end(), DataOperations().begin(), DataOperations().end());
  return all;
}

const char* ColdName(Cold cold) {
  switch (cold) {
    case Cold::kNo:
      return "no";
    case Cold::kNames:
      return "names";
    case Cold::kEverything:
      return "everything";
  }
  return "no";
}

int List() {
  nlohmann::json list = nlohmann::json::array();
  for (const Operation& operation : AllOperations())
    list.push_back({{"name", operation.name},
                    {"unit", operation.unit},
                    {"what", operation.what},
                    {"cold", ColdName(operation.cold)},
                    {"read_only", operation.read_only},
                    {"repeatable", operation.read_only && operation.cold == Cold::kNo},
                    {"fresh_pages", operation.fresh_pages}});
  std::cout << list.dump(2) << "\n";
  return 0;
}

int Run(const Operation& operation, const Plan& plan) {
  const Measurement m = Measure(plan.threads, plan.seconds, [&](int thread, Recorder& recorder) {
    operation.run(plan, thread, recorder);
  });
  const nlohmann::json result{
      {"operation", operation.name}, {"operations", m.operations},
      {"seconds", m.seconds},        {"rate", static_cast<double>(m.operations) / m.seconds},
      {"p50_us", m.p50_us},          {"p99_us", m.p99_us},
      {"max_us", m.max_us}};
  std::cout << result.dump() << "\n";
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app{"Times file system operations; bench/run puts the results side by side."};
  Plan plan;
  std::string name;
  bool list = false, prepare_only = false;
  app.add_flag("--list", list, "print the operations as JSON");
  app.add_option("--op", name, "the operation to time");
  app.add_flag("--prepare", prepare_only, "only make the files that the operation needs");
  app.add_option("--dir", plan.directory, "an absolute path on the file system to measure");
  app.add_option("--threads", plan.threads, "threads")->check(CLI::Range(1, 256));
  app.add_option("--files", plan.files, "small files per thread")->check(CLI::PositiveNumber);
  uint64_t big_mib = plan.big_bytes >> 20;
  app.add_option("--big-mib", big_mib, "MiB of the large file per thread")
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", plan.seconds, "for operations that can be repeated at will")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  plan.big_bytes = big_mib << 20;

  if (list) return List();
  for (const Operation& operation : AllOperations()) {
    if (operation.name != name) continue;
    if (plan.directory.empty() || plan.directory[0] != '/') {
      std::cerr << "fsops: --dir: want an absolute path\n";
      return 2;
    }
    // Files are made in a run of its own, so that dropping caches comes after it.
    if (prepare_only) {
      operation.prepare(plan);
      return 0;
    }
    return Run(operation, plan);
  }
  std::cerr << "fsops: --op " << name << ": no such operation; see --list\n";
  return 2;
}

}  // namespace
}  // namespace pxfs::bench

int main(int argc, char** argv) { return pxfs::bench::Main(argc, argv); }
