// Setting the two ACLs of an inode, which also are xattrs. Part of a transaction.
#pragma once

#include "meta/posix_acl.h"
#include "meta/service.h"
#include "meta/transaction.h"

namespace pxfs::meta {

// name: kAccessAclName or kDefaultAclName. The access list sets the mode bits too. kAccess: a
// default list for anything but a directory.
Status SetAcl(Transaction& tx, const CallContext& ctx, InodeRecord& inode, std::string_view name,
              const Acl& acl);

}  // namespace pxfs::meta
