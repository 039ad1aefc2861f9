// Scenarios: what is done on a native directory and on a mount, to be compared.
//
// To add one, write in a file below scenarios/:
//
//     PXFS_SCENARIO(RenameOntoItself) {
//       p.Make("a", "x");
//       p.Rename("a", "a");
//       p.Stat("a");
//     }
//
// It runs as root in an empty directory of its own, in a process of its own, once on each side.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "tests/mount/probe.h"

namespace pxfs::test {

struct Scenario {
  const char* name;
  void (*run)(Probe& p);
};

// All that are linked in, by name.
const std::vector<Scenario>& Scenarios();

// Runs it in `directory`/<name>, which must not exist, and returns what the probe noted. A scenario
// that ends by a signal or hangs for longer than two minutes has that as its last line. The
// directory is removed afterwards, as root.
Result<std::vector<std::string>> RunScenario(const Scenario& scenario,
                                             const std::string& directory);

// Empty where both are the same; else the first differences, each with the lines that led to it.
std::string Differences(const std::vector<std::string>& native,
                        const std::vector<std::string>& other);

struct ScenarioRegistration {
  ScenarioRegistration(const char* name, void (*run)(Probe&));
};

// How much a scenario with a size of its own does: 1, or more in long runs ($PXFS_LONG).
int Effort();

}  // namespace pxfs::test

#define PXFS_SCENARIO(name)                                                                   \
  static void Scenario##name(::pxfs::test::Probe& p);                                         \
  static const ::pxfs::test::ScenarioRegistration kRegistration##name(#name, Scenario##name); \
  static void Scenario##name([[maybe_unused]] ::pxfs::test::Probe& p)
