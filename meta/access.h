// Permission checks for callers that ask for them (CallContext::check_access), as the kernel makes
// them for a mount. Every function succeeds at once when the context does not ask.
#pragma once

#include "base/result.h"
#include "meta/posix_acl.h"
#include "meta/service.h"
#include "meta/transaction.h"

namespace pxfs::meta {

enum AccessMask : uint32_t { kMayExecute = 1, kMayWrite = 2, kMayRead = 4 };

AclSubject SubjectOf(const CallContext& ctx);
bool IsSuperuser(const CallContext& ctx);             // or does not ask for checks
bool Owns(const CallContext& ctx, const Attr& attr);  // owner, or superuser

// kNotPermitted where the inode's flags forbid what the name says, whoever asks: any change of an
// immutable inode; of one that is immutable or append-only also its owner, mode, xattrs and names.
Status CheckNotImmutable(const InodeRecord& inode);
Status CheckNotFixed(const InodeRecord& inode);

// kAccess. Reads the inode's ACL where it has one.
Status CheckAccess(Transaction& tx, const CallContext& ctx, const InodeRecord& inode,
                   uint32_t wanted);
// Whether the entry for `victim` may be taken out of `directory`. kAccess; kNotPermitted by the
// sticky bit, and by flags of either.
Status CheckMayRemove(Transaction& tx, const CallContext& ctx, const InodeRecord& directory,
                      const InodeRecord& victim);

}  // namespace pxfs::meta
