#include "meta/keys.h"

#include "base/bytes.h"

namespace pxfs::meta::keys {
namespace {

const char* NameOf(char family) {
  switch (static_cast<Family>(family)) {
    case Family::kReservation:
      return "reservation";
    case Family::kCounter:
      return "counter";
    case Family::kEntry:
      return "directory entry";
    case Family::kInode:
      return "inode";
    case Family::kRecord:
      return "service record";
    case Family::kLink:
      return "link";
    case Family::kVolume:
      return "volume";
    case Family::kOrphan:
      return "orphan";
    case Family::kPolicy:
      return "policy";
    case Family::kRequest:
      return "request";
    case Family::kReclaim:
      return "reclaim item";
    case Family::kSession:
      return "session";
    case Family::kVolumeInode:
      return "volume index";
    case Family::kOpenForWrite:
      return "open file";
    case Family::kXattr:
      return "extended attribute";
  }
  return "unknown record";
}

}  // namespace

std::string Make(Family family) { return std::string(1, static_cast<char>(family)); }

std::string Make(Family family, uint64_t a) {
  std::string key = Make(family);
  AppendBigEndian64(key, a);
  return key;
}

std::string Make(Family family, uint64_t a, uint64_t b) {
  std::string key;
  key.reserve(17);
  key.push_back(static_cast<char>(family));
  AppendBigEndian64(key, a);
  AppendBigEndian64(key, b);
  return key;
}

std::string Make(Family family, uint64_t a, uint64_t b, uint64_t c) {
  std::string key;
  key.reserve(25);
  key.push_back(static_cast<char>(family));
  AppendBigEndian64(key, a);
  AppendBigEndian64(key, b);
  AppendBigEndian64(key, c);
  return key;
}

std::string Xattr(InodeId inode, std::string_view name) {
  std::string key = Make(Family::kXattr, inode.value);
  key += name;
  return key;
}

std::string Counter(std::string_view name) { return Make(Family::kCounter).append(name); }
std::string Record(std::string_view key) { return Make(Family::kRecord).append(key); }

std::string EndOf(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

bool ReadNumber(std::string_view key, size_t n, uint64_t* value) {
  if (key.size() < 1 + 8 * (n + 1)) return false;
  *value = ReadBigEndian64(key.substr(1 + 8 * n));
  return true;
}

std::string Describe(std::string_view key) {
  if (key.empty()) return "empty key";
  std::string text = NameOf(key.front());
  const auto family = static_cast<Family>(key.front());
  if (family == Family::kCounter || family == Family::kRecord)
    return text.append(" ").append(key.substr(1));
  uint64_t number = 0;
  for (size_t n = 0; n < 3 && ReadNumber(key, n, &number); ++n) {
    text += n == 0 ? " " : "/";
    text += ToHex(number);
    if (family == Family::kXattr) break;  // a name follows, not a number
  }
  return text;
}

}  // namespace pxfs::meta::keys
