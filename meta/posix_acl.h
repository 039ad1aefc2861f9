// POSIX access control lists as the kernel keeps them in system.posix_acl_access and
// system.posix_acl_default (version 2 of the xattr format, <linux/posix_acl_xattr.h>), and the
// rules of posix_acl(5) that bind them to permission bits. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pxfs::meta {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";

struct AclEntry {
  enum Tag : uint16_t {
    kUserObj = 0x01,
    kUser = 0x02,
    kGroupObj = 0x04,
    kGroup = 0x08,
    kMask = 0x10,
    kOther = 0x20,
  };
  uint16_t tag = 0;
  uint16_t permissions = 0;  // rwx
  uint32_t id = 0;           // of kUser and kGroup
};

// Empty: no list.
using Acl = std::vector<AclEntry>;

// kInvalid for what the kernel refuses: unknown tags, wrong order, missing entries. A value without
// entries is an empty list.
Result<Acl> ParseAcl(std::string_view value);
std::string SerializeAcl(const Acl& acl);

// Copies the list's permissions into the bits of `mode`. True when the bits say all that the list
// does.
bool AclToMode(const Acl& acl, uint32_t* mode);
// chmod: the list after the bits were set to `mode`.
void ModeToAcl(uint32_t mode, Acl* acl);
// A new inode inherits `acl`, the directory's default list: both the list and `mode` lose what the
// other does not grant. True when the bits say all that the list does.
bool InheritAcl(Acl* acl, uint32_t* mode);

struct AclSubject {
  uint32_t uid = 0;
  uint32_t gid = 0;
  const std::vector<uint32_t>* groups = nullptr;  // supplementary

  bool InGroup(uint32_t group) const;
};
// Whether the permission bits of a file of owner:group grant all of `wanted` (rwx) to `subject`.
bool BitsGrant(uint32_t mode, uint32_t owner, uint32_t group, const AclSubject& subject,
               uint32_t wanted);
// Whether the list of a file of owner:group grants all of `wanted` (rwx) to `subject`.
bool AclGrants(const Acl& acl, uint32_t owner, uint32_t group, const AclSubject& subject,
               uint32_t wanted);

}  // namespace pxfs::meta
