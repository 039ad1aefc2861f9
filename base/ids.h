// Distinct integer types for the things that pxfs numbers, so that one is never passed for another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace pxfs {

template <typename Tag>
struct Id {
  uint64_t value = 0;  // 0 is "none"

  constexpr Id() = default;
  constexpr explicit Id(uint64_t v) : value(v) {}
  constexpr explicit operator bool() const { return value != 0; }
  friend constexpr auto operator<=>(Id, Id) = default;
};

using InodeId = Id<struct InodeTag>;      // never reused within a cluster
using VolumeId = Id<struct VolumeTag>;    // never reused within a cluster
using NodeId = Id<struct NodeTag>;        // a host that runs pxfs
using SessionId = Id<struct SessionTag>;  // one client of the metadata service

inline constexpr InodeId kRootInode{1};

}  // namespace pxfs

template <typename Tag>
struct std::hash<pxfs::Id<Tag>> {
  size_t operator()(pxfs::Id<Tag> id) const noexcept {
    return static_cast<size_t>(id.value * 0x9E3779B97F4A7C15ull);
  }
};
