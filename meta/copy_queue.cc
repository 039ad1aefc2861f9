#include "meta/copy_queue.h"

#include <chrono>

#include "base/bytes.h"

namespace pxfs::meta {

std::string KeyOf(const CopyItem& item) {
  return PrefixOf(item.reason) + ToHex16(item.inode.value) + "/" + ToHex16(item.number);
}

std::string PrefixOf(CopyReason reason) {
  return std::string(kCopyQueuePrefix) + std::to_string(static_cast<unsigned>(reason)) + "/";
}

uint64_t NewItemNumber() {
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

std::optional<CopyItem> ParseCopyItem(std::string_view key) {
  if (!key.starts_with(kCopyQueuePrefix)) return std::nullopt;
  key.remove_prefix(kCopyQueuePrefix.size());
  CopyItem item;
  switch (key.empty() ? '0' : key[0]) {
    case '1':
      item.reason = CopyReason::kContent;
      break;
    case '2':
      item.reason = CopyReason::kPlace;
      break;
    case '3':
      item.reason = CopyReason::kWish;
      break;
    case '4':
      item.reason = CopyReason::kHeat;
      break;
    case '5':
      item.reason = CopyReason::kVolume;
      break;
    case '6':
      item.reason = CopyReason::kRebalance;
      break;
    default:
      return std::nullopt;
  }
  key.remove_prefix(1);
  const auto take = [&key](uint64_t* number) {
    if (!key.starts_with('/')) return false;
    key.remove_prefix(1);
    return TakeHex16(key, number);
  };
  if (!take(&item.inode.value) || !take(&item.number) || !key.empty()) return std::nullopt;
  return item;
}

}  // namespace pxfs::meta
