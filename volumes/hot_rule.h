// The rule that says which files get further copies because they are wanted, and which of those
// copies go. docs/replication.md has it in words.
//
// No I/O and no clock: who asks says what the time is, what is wanted, and what is there. So the
// simulator (tests/volumes/hot_rule_simulation_test.cc) runs the very same code. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"

namespace pxfs::volumes {

struct HotRuleOptions {
  // Copy n+1 is made from n times as many decayed opens on.
  double opens_per_copy = 3;
  // And from so many decayed bytes on, n times: of what is smaller the page cache serves most.
  double bytes_per_copy = 8 << 20;
  // A copy is needed while there is this share of the heat at which it was made...
  double keep_share = 0.25;
  // ... and goes when it has not been needed for so long.
  std::chrono::milliseconds cool_down = std::chrono::minutes(10);
  // A file whose copies went because it had cooled down gets them back within such a time only if
  // it is so many times hotter than otherwise needed.
  double again = 2;
  // How long the content must have stayed as it is. Doubles with each time that copies became
  // worthless because the file was written; the cool-down at most.
  std::chrono::milliseconds settle = std::chrono::seconds(2);
  // Hot copies take at most this share of a volume's size, ...
  double budget_share = 0.2;
  // ... where the copies of colder files give way to those of one that is so many times hotter, ...
  double displace = 4;
  // ... are made only where the volume is no fuller than `low` then, and go, the coldest first,
  // from where it is fuller than `high`, until it is no fuller than `low`. Shares of its size; what
  // the volume keeps in reserve counts as used.
  double low_watermark = 0.85, high_watermark = 0.95;
};

// How much a file is wanted on one node: decayed counts (volumes/heat_table.h).
struct Demand {
  NodeId node;
  double opens = 0, bytes = 0;
};

struct HotFile {
  InodeId inode;
  uint64_t size_bytes = 0;
  uint64_t generation = 0;         // of its content
  std::vector<Demand> demand;      // one for each node that has any
  bool allowed = true;             // by its policy: hot=on
  bool written = false;            // it is open for writing
  uint32_t max_copies = 0;         // by its policy; 0: as many as there are volumes
  std::vector<VolumeId> replicas;  // current ones
  std::vector<VolumeId> hot;       // where the rule wants a copy, there already or not
  std::vector<VolumeId> suitable;  // where a copy may be made: the volume is in use, its labels fit
};

// A volume in use: those that are away or shall be empty are left out.
struct HotVolume {
  VolumeId id;
  uint64_t total_bytes = 0;
  uint64_t headroom_bytes = 0;  // what it can take before it is down to its reserve
};

struct HotDecision {
  bool make = true;  // false: the copy goes
  InodeId inode;
  VolumeId volume;
  std::string why;  // for people
};

class HotRule {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit HotRule(const HotRuleOptions& options) : options_(options) {}

  // files: all that have hot copies, and all that may be hot (opens of opens_per_copy or more);
  // others are forgotten in time. Decisions count as carried out: the next call's `hot` has
  // what was made and not what was dropped.
  std::vector<HotDecision> Decide(Time now, std::span<const HotFile> files,
                                  std::span<const HotVolume> volumes);

  const HotRuleOptions& options() const { return options_; }
  // The heat from which a file that has `copies` gets a further one, and down to which it needs as
  // many as it has.
  double MakeAt(uint32_t copies) const { return options_.opens_per_copy * copies; }
  double KeepDownTo(uint32_t copies) const {
    return copies < 2 ? 0 : options_.keep_share * MakeAt(copies - 1);
  }

 private:
  // What is remembered of a file.
  struct History {
    uint64_t generation = 0;
    Time changed{};              // when the generation was first seen
    uint32_t rewrites = 0;       // how often copies became worthless by writing
    std::optional<Time> cooled;  // when a copy went because the file had cooled down
    std::vector<Time> needed;    // by number of copies: when that many were needed last
  };
  struct Room;  // of a volume, as decisions are made
  struct Round;

  void Learn(Round& round, const HotFile& file);
  void DropSurplus(Round& round, const HotFile& file);
  void Forget(const Round& round);
  void DropForRoom(Round& round);
  void Make(Round& round, const HotFile& file);
  // The volume for a further copy; 0: there is none.
  VolumeId PlaceFor(Round& round, const HotFile& file);
  // The same where colder copies, which are dropped then, have the room.
  VolumeId TakeRoom(Round& round, const HotFile& file);

  const HotRuleOptions options_;
  std::unordered_map<InodeId, History> histories_;
};

}  // namespace pxfs::volumes
