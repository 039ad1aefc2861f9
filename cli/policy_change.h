// Changes of a directory's own policy, as `pxfs policy` and `pxfs ingest --policy` make them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "meta/types.h"

namespace pxfs::cli {

// KEY=VALUE words, as meta::ParsePolicy takes them in one text. kInvalid.
Result<meta::Policy> ParsePolicyWords(const std::vector<std::string>& words);

// `base` with what `change` sets.
meta::Policy Overlay(meta::Policy base, const meta::Policy& change);

// `base` without these keys. kInvalid when it does not set one of them.
Result<meta::Policy> WithoutKeys(meta::Policy base, const std::vector<std::string>& keys);

}  // namespace pxfs::cli
