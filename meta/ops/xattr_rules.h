// Which xattr names there are and who may use them: xattr(7).
#pragma once

#include <string_view>

#include "meta/access.h"
#include "meta/transaction.h"

namespace pxfs::meta {

inline bool IsAclName(std::string_view name) {
  return name == kAccessAclName || name == kDefaultAclName;
}

// kRange: empty or overlong; kNotSupported: not in a known namespace; kInvalid: a namespace and
// nothing else.
Status CheckXattrName(std::string_view name);
// kNotPermitted, kAccess.
Status CheckXattrRead(Transaction& tx, const CallContext& ctx, const InodeRecord& inode,
                      std::string_view name);
Status CheckXattrWrite(Transaction& tx, const CallContext& ctx, const InodeRecord& inode,
                       std::string_view name);
// Whether listxattr shows it to the caller.
bool IsXattrListed(const CallContext& ctx, std::string_view name);

}  // namespace pxfs::meta
