// Numbers of the store that stand by themselves (keys::Family::kCounter), by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "meta/kv_engine.h"

namespace pxfs::meta {

// No inode has this number or a higher one.
inline constexpr std::string_view kNextInode = "next inode";
// Objects of inodes below it are never deleted as unknown. Set by whoever puts back an older state
// of the store.
inline constexpr std::string_view kSweepFloor = "sweep floor";

// Absent: it was never written. kCorruption.
Result<std::optional<uint64_t>> ReadCounter(const KvEngine& engine, std::string_view name);
Status WriteCounter(KvEngine& engine, std::string_view name, uint64_t value);

}  // namespace pxfs::meta
