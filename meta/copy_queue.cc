#include "meta/copy_queue.h"

#include <charconv>
#include <cstdio>

namespace pxfs::meta {
namespace {

constexpr size_t kDigits = 16;

// Takes "/" and a number off the front.
bool TakeNumber(std::string_view& text, uint64_t* number) {
  if (text.size() < kDigits + 1 || text[0] != '/') return false;
  const char* const end = text.data() + kDigits + 1;
  const auto parsed = std::from_chars(text.data() + 1, end, *number, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return false;
  text.remove_prefix(kDigits + 1);
  return true;
}

}  // namespace

std::string KeyOf(const CopyItem& item) {
  char text[64];
  std::snprintf(text, sizeof text, "%u/%016llx/%016llx", static_cast<unsigned>(item.reason),
                static_cast<unsigned long long>(item.inode.value),
                static_cast<unsigned long long>(item.number));
  return std::string(kCopyQueuePrefix) + text;
}

std::string PrefixOf(CopyReason reason) {
  return std::string(kCopyQueuePrefix) + std::to_string(static_cast<unsigned>(reason)) + "/";
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
  if (!TakeNumber(key, &item.inode.value) || !TakeNumber(key, &item.number) || !key.empty())
    return std::nullopt;
  return item;
}

}  // namespace pxfs::meta
