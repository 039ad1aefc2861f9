#include "meta/check_survey.h"

#include <algorithm>
#include <utility>

#include "meta/keys.h"
#include "meta/records.h"
#include "meta/totals.h"

namespace pxfs::meta {
namespace {

struct Directory {
  InodeId inode, parent;
  enum class State : uint8_t { kUnknown, kOnTheWay, kDone } state = State::kUnknown;
};

// One directory, the lowest, of each loop.
std::set<InodeId> FindLoops(std::vector<Directory>& directories) {
  const auto find = [&](InodeId inode) -> Directory* {
    const auto it =
        std::lower_bound(directories.begin(), directories.end(), inode,
                         [](const Directory& d, InodeId number) { return d.inode < number; });
    return it != directories.end() && it->inode == inode ? &*it : nullptr;
  };
  std::set<InodeId> loops;
  std::vector<Directory*> way;
  for (Directory& start : directories) {
    way.clear();
    Directory* at = &start;
    while (at != nullptr && at->state == Directory::State::kUnknown) {
      at->state = Directory::State::kOnTheWay;
      way.push_back(at);
      at = at->parent ? find(at->parent) : nullptr;
    }
    if (at != nullptr && at->state == Directory::State::kOnTheWay) {
      const auto begin = std::find(way.begin(), way.end(), at);
      loops.insert((*std::min_element(begin, way.end(), [](const Directory* a, const Directory* b) {
                     return a->inode < b->inode;
                   }))->inode);
    }
    for (Directory* directory : way) directory->state = Directory::State::kDone;
  }
  return loops;
}

bool TotalsAreRight(const TotalsRecord& record, const Totals::Change& counted) {
  const auto nonzero = [](const auto& volume) {
    return volume.objects != 0 || volume.object_bytes != 0;
  };
  size_t expected = 0;
  for (const auto& volume : record.volumes) expected += nonzero(volume);
  size_t found = 0;
  for (const auto& volume : counted.volumes) {
    if (!nonzero(volume)) continue;
    ++found;
    const bool same =
        std::any_of(record.volumes.begin(), record.volumes.end(), [&](const auto& recorded) {
          return recorded.volume == volume.volume &&
                 recorded.objects == static_cast<uint64_t>(volume.objects) &&
                 recorded.object_bytes == static_cast<uint64_t>(volume.object_bytes);
        });
    if (!same) return false;
  }
  return found == expected && record.inodes == static_cast<uint64_t>(counted.inodes);
}

}  // namespace

Result<Survey> TakeSurvey(KvEngine& engine, size_t part_inodes) {
  Survey survey;
  survey.parts.push_back({});
  std::vector<Directory> directories;
  Totals::Change counted;
  size_t in_part = 0;
  const std::string begin = keys::Make(keys::Family::kInode);
  PXFS_TRY(
      engine.Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view value) {
        uint64_t number = 0;
        if (!keys::ReadNumber(key, 0, &number)) return true;
        if (++in_part > part_inodes) {
          survey.parts.back().end = InodeId(number);
          survey.parts.push_back({InodeId(number)});
          in_part = 1;
        }
        const auto inode = Decode<InodeRecord>(key, value);
        if (!inode) return true;
        counted.Replace(nullptr, &*inode);
        survey.last_epoch = std::max(survey.last_epoch, inode->content_epoch);
        if (inode->attr.is_directory())
          directories.push_back(
              {InodeId(number), inode->removed() || inode->detached || InodeId(number) == kRootInode
                                    ? InodeId()
                                    : inode->parent});
        return true;
      }));
  survey.loops = FindLoops(directories);
  survey.totals_key = keys::Counter("totals");
  std::string value;
  PXFS_ASSIGN(const bool saved, engine.Get(survey.totals_key, &value));
  if (saved) {
    const auto totals = Decode<TotalsRecord>(survey.totals_key, value);
    survey.totals_right = totals && TotalsAreRight(*totals, counted);
  }
  return survey;
}

}  // namespace pxfs::meta
