// The queue of what may not have the copies that it should have. Items are records of the store
// (MetadataService::ScanRecords with kCopyQueuePrefix, in order of urgency), put there by the
// transaction that gave the reason, so a crash loses none. Who takes one looks at the inode itself
// and does what is missing; then it deletes the record. An item says where to look, never what to
// do, so one too many does no harm.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace pxfs::meta {

inline constexpr std::string_view kCopyQueuePrefix = "copies/";

enum class CopyReason : uint8_t {
  kContent = 1,  // written, or brought in
  kPlace = 2,    // of a file or a whole directory: moved, or under another policy
  kWish = 3,     // it asks for other copies itself
  kHeat = 4,     // wanted by many, or not any more (volumes/hot_copies.h)
  kVolume = 5,   // all that lies on a volume (its number stands for the inode): it was out of reach
  // To leave a volume that is fuller than others: the item's number is its id.
  kRebalance = 6,
};

struct CopyItem {
  CopyReason reason = CopyReason::kContent;
  InodeId inode;
  // Tells items of one inode apart, so that deleting one never deletes a later one: the generation
  // of the content, or a number never used before.
  uint64_t number = 0;
};

// The value of a volume's item where it was out of reach, so that what it is back with may be older
// than metadata says. That of all other items is empty.
inline constexpr std::string_view kWasAway = "away";

// "copies/<reason>/<inode>/<number>", the numbers in 16 hexadecimal digits.
std::string KeyOf(const CopyItem& item);
// "copies/<reason>/": what the keys of all items of a reason begin with.
std::string PrefixOf(CopyReason reason);
// For an item of a caller who has no number of his own: differs from that of any item before.
uint64_t NewItemNumber();
// Nothing for what is no such key.
std::optional<CopyItem> ParseCopyItem(std::string_view key);

}  // namespace pxfs::meta
