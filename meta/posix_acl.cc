#include "meta/posix_acl.h"

#include <algorithm>

namespace pxfs::meta {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderBytes = 4;
constexpr size_t kEntryBytes = 8;
constexpr uint32_t kNoId = 0xffffffff;

uint32_t ReadLittle(std::string_view in, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(in[at + i]);
  return value;
}

void AppendLittle(std::string& out, uint32_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

AclEntry* Find(Acl* acl, uint16_t tag) {
  const auto it = std::find_if(acl->begin(), acl->end(), [&](AclEntry& e) { return e.tag == tag; });
  return it == acl->end() ? nullptr : &*it;
}

// The entry that the group bits of the mode stand for.
AclEntry* GroupClass(Acl* acl) {
  AclEntry* mask = Find(acl, AclEntry::kMask);
  return mask ? mask : Find(acl, AclEntry::kGroupObj);
}

// Tags ascend, each but the named ones comes once, and named ones need a mask: posix_acl_valid() of
// the kernel.
bool IsValid(const Acl& acl) {
  uint16_t last = 0;
  uint32_t seen = 0;
  for (const AclEntry& entry : acl) {
    const bool named = entry.tag == AclEntry::kUser || entry.tag == AclEntry::kGroup;
    switch (entry.tag) {
      case AclEntry::kUserObj:
      case AclEntry::kUser:
      case AclEntry::kGroupObj:
      case AclEntry::kGroup:
      case AclEntry::kMask:
      case AclEntry::kOther:
        break;
      default:
        return false;
    }
    if (entry.permissions > 7 || entry.tag < last || (entry.tag == last && !named)) return false;
    if (named && entry.id == kNoId) return false;
    last = entry.tag;
    seen |= entry.tag;
  }
  constexpr uint32_t kNeeded = AclEntry::kUserObj | AclEntry::kGroupObj | AclEntry::kOther;
  const bool needs_mask = seen & (AclEntry::kUser | AclEntry::kGroup);
  return (seen & kNeeded) == kNeeded && (!needs_mask || (seen & AclEntry::kMask));
}

}  // namespace

Result<Acl> ParseAcl(std::string_view value) {
  if (value.size() < kHeaderBytes || (value.size() - kHeaderBytes) % kEntryBytes != 0)
    return Fail(Code::kInvalid);
  if (ReadLittle(value, 0, 4) != kVersion) return Fail(Code::kNotSupported);
  Acl acl;
  for (size_t at = kHeaderBytes; at < value.size(); at += kEntryBytes) {
    acl.push_back({static_cast<uint16_t>(ReadLittle(value, at, 2)),
                   static_cast<uint16_t>(ReadLittle(value, at + 2, 2)),
                   ReadLittle(value, at + 4, 4)});
  }
  if (!acl.empty() && !IsValid(acl)) return Fail(Code::kInvalid);
  return acl;
}

std::string SerializeAcl(const Acl& acl) {
  std::string value;
  AppendLittle(value, kVersion, 4);
  for (const AclEntry& entry : acl) {
    const bool named = entry.tag == AclEntry::kUser || entry.tag == AclEntry::kGroup;
    AppendLittle(value, entry.tag, 2);
    AppendLittle(value, entry.permissions, 2);
    AppendLittle(value, named ? entry.id : kNoId, 4);
  }
  return value;
}

bool AclToMode(const Acl& acl, uint32_t* mode) {
  uint32_t bits = 0;
  bool has_mask = false, has_named = false;
  for (const AclEntry& entry : acl) {
    switch (entry.tag) {
      case AclEntry::kUserObj:
        bits |= entry.permissions << 6;
        break;
      case AclEntry::kGroupObj:
        if (!has_mask) bits |= entry.permissions << 3;
        break;
      case AclEntry::kOther:
        bits |= entry.permissions;
        break;
      case AclEntry::kMask:
        bits = (bits & ~070u) | entry.permissions << 3;
        has_mask = true;
        break;
      default:
        has_named = true;
    }
  }
  *mode = (*mode & ~0777u) | bits;
  return !has_mask && !has_named;
}

void ModeToAcl(uint32_t mode, Acl* acl) {
  if (AclEntry* user = Find(acl, AclEntry::kUserObj)) user->permissions = mode >> 6 & 7;
  if (AclEntry* group = GroupClass(acl)) group->permissions = mode >> 3 & 7;
  if (AclEntry* other = Find(acl, AclEntry::kOther)) other->permissions = mode & 7;
}

bool InheritAcl(Acl* acl, uint32_t* mode) {
  uint32_t bits = *mode & 0777;
  if (AclEntry* user = Find(acl, AclEntry::kUserObj)) {
    user->permissions &= bits >> 6;
    bits &= static_cast<uint32_t>(user->permissions) << 6 | ~0700u;
  }
  if (AclEntry* group = GroupClass(acl)) {
    group->permissions &= bits >> 3 & 7;
    bits &= static_cast<uint32_t>(group->permissions) << 3 | ~070u;
  }
  if (AclEntry* other = Find(acl, AclEntry::kOther)) {
    other->permissions &= bits & 7;
    bits &= other->permissions | ~07u;
  }
  *mode = (*mode & ~0777u) | bits;
  return acl->size() == 3;
}

bool AclSubject::InGroup(uint32_t group) const {
  return gid == group ||
         (groups && std::find(groups->begin(), groups->end(), group) != groups->end());
}

bool BitsGrant(uint32_t mode, uint32_t owner, uint32_t group, const AclSubject& subject,
               uint32_t wanted) {
  const int shift = subject.uid == owner ? 6 : subject.InGroup(group) ? 3 : 0;
  return (mode >> shift & wanted) == wanted;
}

bool AclGrants(const Acl& acl, uint32_t owner, uint32_t group, const AclSubject& subject,
               uint32_t wanted) {
  uint32_t mask = 7, other = 0;
  for (const AclEntry& entry : acl) {
    if (entry.tag == AclEntry::kMask) mask = entry.permissions;
    if (entry.tag == AclEntry::kOther) other = entry.permissions;
  }
  bool in_some_group = false;
  for (const AclEntry& entry : acl) {
    switch (entry.tag) {
      case AclEntry::kUserObj:
        if (subject.uid == owner) return (entry.permissions & wanted) == wanted;
        break;
      case AclEntry::kUser:
        if (subject.uid == entry.id) return (entry.permissions & mask & wanted) == wanted;
        break;
      case AclEntry::kGroupObj:
      case AclEntry::kGroup:
        if (subject.InGroup(entry.tag == AclEntry::kGroupObj ? group : entry.id)) {
          in_some_group = true;
          if ((entry.permissions & mask & wanted) == wanted) return true;
        }
        break;
      default:
        break;
    }
  }
  return !in_some_group && (other & wanted) == wanted;
}

}  // namespace pxfs::meta
