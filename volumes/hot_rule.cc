#include "volumes/hot_rule.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace pxfs::volumes {
namespace {

bool Has(const std::vector<VolumeId>& volumes, VolumeId volume) {
  return std::find(volumes.begin(), volumes.end(), volume) != volumes.end();
}

double OpensOf(const HotFile& file) {
  double opens = 0;
  for (const Demand& demand : file.demand) opens += demand.opens;
  return opens;
}

double BytesOf(const HotFile& file) {
  double bytes = 0;
  for (const Demand& demand : file.demand) bytes += demand.bytes;
  return bytes;
}

std::string Tenths(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", number);
  return text;
}

// Replicas that are not there for heat: by policy, or since they came to be the primary.
uint32_t BaseOf(const HotFile& file) {
  const auto base = std::count_if(file.replicas.begin(), file.replicas.end(),
                                  [&](VolumeId volume) { return !Has(file.hot, volume); });
  return std::max<uint32_t>(1, static_cast<uint32_t>(base));
}

}  // namespace

struct HotRule::Room {
  uint64_t total_bytes = 0;
  double used_bytes = 0, hot_bytes = 0;
  double demand = 0;  // bytes that its replicas may have to serve

  double UsedShare(double more = 0) const {
    return total_bytes == 0 ? 1 : (used_bytes + more) / static_cast<double>(total_bytes);
  }
};

struct HotRule::Round {
  Time now;
  std::span<const HotFile> files;
  std::map<VolumeId, Room> rooms;
  std::unordered_map<InodeId, std::vector<VolumeId>> hot;  // as decided so far
  std::vector<HotDecision> decisions;

  // Takes a hot copy out.
  void Drop(const HotFile& file, VolumeId volume, std::string why) {
    std::erase(hot[file.inode], volume);
    const auto room = rooms.find(volume);
    if (room != rooms.end()) {
      room->second.hot_bytes -= static_cast<double>(file.size_bytes);
      room->second.used_bytes -= static_cast<double>(file.size_bytes);
    }
    decisions.push_back({false, file.inode, volume, std::move(why)});
  }
};

void HotRule::Learn(Round& round, const HotFile& file) {
  const auto [found, unknown] = histories_.try_emplace(file.inode);
  History& history = found->second;
  if (unknown) {
    history.generation = file.generation;
    // After a restart nobody knows how long copies have not been needed.
    history.needed.assign(BaseOf(file) + file.hot.size() + 1, round.now);
  }
  if (history.generation != file.generation) {
    if (!file.hot.empty()) ++history.rewrites;
    history.generation = file.generation;
    history.changed = round.now;
    for (const VolumeId volume : file.hot) round.Drop(file, volume, "the file was written");
  }
  const double opens = OpensOf(file);
  for (uint32_t copies = 2; opens >= KeepDownTo(copies); ++copies) {
    // More than there are volumes: nobody asks.
    if (copies > BaseOf(file) + round.rooms.size()) break;
    if (history.needed.size() <= copies) history.needed.resize(copies + 1);
    history.needed[copies] = round.now;
  }
}

void HotRule::DropSurplus(Round& round, const HotFile& file) {
  History& history = histories_.at(file.inode);
  for (const VolumeId volume : std::vector<VolumeId>(round.hot[file.inode]))
    if (!round.rooms.contains(volume)) round.Drop(file, volume, "the volume is not in use");
  const std::vector<VolumeId> hot = round.hot[file.inode];
  uint32_t copies = BaseOf(file) + static_cast<uint32_t>(hot.size());
  for (auto volume = hot.rbegin(); volume != hot.rend(); ++volume, --copies) {
    if (!file.allowed) {
      round.Drop(file, *volume, "its policy says hot=off");
    } else if (file.max_copies != 0 && copies > file.max_copies) {
      round.Drop(file, *volume, "its policy says max-copies=" + std::to_string(file.max_copies));
    } else if (copies >= history.needed.size() ||
               round.now - history.needed[copies] >= options_.cool_down) {
      round.Drop(file, *volume, "it has cooled down");
      history.cooled = round.now;
    } else {
      return;
    }
  }
}

void HotRule::DropForRoom(Round& round) {
  for (auto& [id, room] : round.rooms) {
    if (room.UsedShare() <= options_.high_watermark || room.hot_bytes <= 0) continue;
    std::vector<const HotFile*> here;
    for (const HotFile& file : round.files)
      if (Has(round.hot[file.inode], id)) here.push_back(&file);
    std::sort(here.begin(), here.end(),
              [](const HotFile* a, const HotFile* b) { return OpensOf(*a) < OpensOf(*b); });
    for (const HotFile* file : here) {
      if (room.UsedShare() <= options_.low_watermark) break;
      round.Drop(*file, id, "the volume is short of room");
    }
  }
}

VolumeId HotRule::PlaceFor(Round& round, const HotFile& file) {
  const double size = static_cast<double>(file.size_bytes);
  const std::vector<VolumeId>& hot = round.hot[file.inode];
  const std::pair<const VolumeId, Room>* best = nullptr;
  for (const auto& entry : round.rooms) {
    const auto& [id, room] = entry;
    if (!Has(file.suitable, id) || Has(file.replicas, id) || Has(hot, id)) continue;
    if (room.UsedShare(size) > options_.low_watermark) continue;
    if (room.hot_bytes + size > options_.budget_share * static_cast<double>(room.total_bytes))
      continue;
    if (!best || room.demand < best->second.demand ||
        (room.demand == best->second.demand && room.UsedShare() < best->second.UsedShare()))
      best = &entry;
  }
  return best ? best->first : VolumeId();
}

VolumeId HotRule::TakeRoom(Round& round, const HotFile& file) {
  const double size = static_cast<double>(file.size_bytes), opens = OpensOf(file);
  std::vector<const HotFile*> gone;  // of the volume where the least is lost
  double least = 0;
  VolumeId best;
  for (const auto& [id, room] : round.rooms) {
    if (!Has(file.suitable, id) || Has(file.replicas, id) || Has(round.hot[file.inode], id))
      continue;
    const double budget = options_.budget_share * static_cast<double>(room.total_bytes);
    std::vector<const HotFile*> colder;
    for (const HotFile& other : round.files)
      if (Has(round.hot[other.inode], id) && OpensOf(other) * options_.displace <= opens)
        colder.push_back(&other);
    std::sort(colder.begin(), colder.end(),
              [](const HotFile* a, const HotFile* b) { return OpensOf(*a) < OpensOf(*b); });
    double freed = 0, lost = 0;
    size_t count = 0;
    const auto fits = [&] {
      return room.hot_bytes - freed + size <= budget &&
             room.UsedShare(size - freed) <= options_.low_watermark;
    };
    for (; !fits() && count < colder.size(); ++count) {
      freed += static_cast<double>(colder[count]->size_bytes);
      lost += OpensOf(*colder[count]);
    }
    if (!fits() || (best && lost >= least)) continue;
    colder.resize(count);
    gone = std::move(colder);
    least = lost;
    best = id;
  }
  for (const HotFile* other : gone) {
    round.Drop(*other, best, "a hotter file needs its room");
    histories_.at(other->inode).cooled = round.now;
  }
  return best;
}

void HotRule::Make(Round& round, const HotFile& file) {
  const History& history = histories_.at(file.inode);
  const double opens = OpensOf(file), size = static_cast<double>(file.size_bytes);
  if (!file.allowed || file.written || file.replicas.empty()) return;
  const auto settle =
      std::min(options_.cool_down, options_.settle * (1 << std::min(history.rewrites, 12u)));
  if (history.changed != Time{} && round.now - history.changed < settle) return;
  const bool again = history.cooled && round.now - *history.cooled < options_.cool_down;
  std::vector<VolumeId>& hot = round.hot[file.inode];
  for (;;) {
    const uint32_t copies = BaseOf(file) + static_cast<uint32_t>(hot.size());
    if (BytesOf(file) < options_.bytes_per_copy * copies) return;
    if (opens < MakeAt(copies) * (again ? options_.again : 1) ||
        (file.max_copies != 0 && copies >= file.max_copies))
      return;
    VolumeId place = PlaceFor(round, file);
    if (!place) place = TakeRoom(round, file);
    if (!place) return;
    Room& room = round.rooms[place];
    room.hot_bytes += size;
    room.used_bytes += size;
    room.demand += BytesOf(file) / (copies + 1);
    hot.push_back(place);
    round.decisions.push_back({true, file.inode, place,
                               Tenths(opens) + " opens, " + Tenths(MakeAt(copies)) +
                                   " are enough for copy " + std::to_string(copies + 1)});
  }
}

void HotRule::Forget(const Round& round) {
  std::erase_if(histories_, [&](const auto& entry) {
    const auto& [inode, history] = entry;
    return !round.hot.contains(inode) &&
           !(history.cooled && round.now - *history.cooled < options_.cool_down);
  });
}

std::vector<HotDecision> HotRule::Decide(Time now, std::span<const HotFile> files,
                                         std::span<const HotVolume> volumes) {
  Round round{now, files, {}, {}, {}};
  for (const HotVolume& volume : volumes) {
    Room& room = round.rooms[volume.id];
    room.total_bytes = volume.total_bytes;
    room.used_bytes = static_cast<double>(volume.total_bytes) -
                      static_cast<double>(std::min(volume.headroom_bytes, volume.total_bytes));
  }
  for (const HotFile& file : files) {
    round.hot[file.inode] = file.hot;
    for (const auto& [id, room] : round.rooms) {
      const bool hot = Has(file.hot, id), there = Has(file.replicas, id);
      if (hot) round.rooms[id].hot_bytes += static_cast<double>(file.size_bytes);
      // What is on its way will take its room.
      if (hot && !there) round.rooms[id].used_bytes += static_cast<double>(file.size_bytes);
      if (there)
        round.rooms[id].demand += BytesOf(file) / static_cast<double>(file.replicas.size());
    }
  }
  for (const HotFile& file : files) Learn(round, file);
  for (const HotFile& file : files) DropSurplus(round, file);
  DropForRoom(round);
  std::vector<const HotFile*> hottest;
  for (const HotFile& file : files)
    if (OpensOf(file) >= options_.opens_per_copy) hottest.push_back(&file);
  std::sort(hottest.begin(), hottest.end(),
            [](const HotFile* a, const HotFile* b) { return OpensOf(*a) > OpensOf(*b); });
  for (const HotFile* file : hottest) Make(round, *file);
  Forget(round);
  return std::move(round.decisions);
}

}  // namespace pxfs::volumes
