// The checker of the metadata store: reads everything and says what does not fit together.
//
// It needs the store to itself and changes nothing. Memory grows with the number of inodes.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "meta/kv_engine.h"
#include "meta/slots.h"

namespace pxfs::meta {

struct CheckOptions {
  // As StoreOptions::name_hash; empty: the store's own.
  NameHash name_hash;
};

// One line for each problem: what is wrong with which inode. Empty: the store is sound.
// kNotFound, kInvalid: no store that this program knows. kIo, kCorruption: the engine cannot read
// it at all.
Result<std::vector<std::string>> CheckStore(KvEngine& engine, const CheckOptions& options = {});

}  // namespace pxfs::meta
