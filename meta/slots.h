// Slots: where a name goes in its directory. Names that meet in a slot go to the next ones (linear
// probing), and the slots passed over are marked as chained. A slot is also the entry's readdir
// cookie.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/hash.h"

namespace pxfs::meta {

// Cookies below are left to callers, for "." and "..".
inline constexpr uint64_t kFirstSlot = 16;
inline constexpr uint64_t kLastSlot = (uint64_t{1} << 63) - 1;

using NameHash = std::function<uint64_t(std::string_view name)>;
using SlotOf = std::function<uint64_t(std::string_view name)>;

inline uint64_t SlotFromHash(uint64_t hash) {
  const uint64_t slot = hash & kLastSlot;
  return slot < kFirstSlot ? slot + kFirstSlot : slot;
}

inline uint64_t NextSlot(uint64_t slot) { return slot == kLastSlot ? kFirstSlot : slot + 1; }

// hash: empty for XXH3 with `seed`.
inline SlotOf SlotFunction(NameHash hash, uint64_t seed) {
  if (hash) return [hash](std::string_view name) { return SlotFromHash(hash(name)); };
  return [seed](std::string_view name) { return SlotFromHash(Hash64(name, seed)); };
}

}  // namespace pxfs::meta
