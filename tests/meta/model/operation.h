// One random operation: a kind and numbers from which the driver picks among what there is.
#pragma once

#include <rapidcheck.h>

#include <cstdint>
#include <ostream>

namespace pxfs::meta::model {

struct Operation {
  enum Kind : uint8_t {
    kLookup,
    kMakeDirectory,
    kMakeSpecial,
    kSymlink,
    kCreate,
    kCreateNameless,
    kLink,
    kUnlink,
    kRemoveDirectory,
    kRename,
    kSetAttr,
    kTruncate,
    kSetXattr,
    kGetXattr,
    kRemoveXattr,
    kReadLink,
    kOpenForWrite,
    kCommitContent,
    kCloseWrite,
    kForget,
    kScan,
    kSetPolicy,
    kGetPolicy,
    kCompareTree,
    kReopen,
  };
  Kind kind = kLookup;
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

std::ostream& operator<<(std::ostream& out, const Operation& operation);
// Shrinks to the same kind with smaller numbers.
rc::Gen<Operation> AnyOperation();

}  // namespace pxfs::meta::model
