// Names of clusters, volumes and labels.
#pragma once

#include <string>

#include "base/result.h"

namespace pxfs::cli {

// kInvalid unless 1 to 64 letters, digits, '.', '_' or '-'. `what` says whose name it is.
Status CheckName(const std::string& what, const std::string& name);

// The same for labels, which must not be called as what a policy or `volume set` knows already; and
// their values, which hold no blanks and commas.
Status CheckLabel(const std::string& key, const std::string& value);

}  // namespace pxfs::cli
