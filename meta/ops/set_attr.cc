#include "meta/access.h"
#include "meta/content.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/new_inode.h"
#include "meta/posix_acl.h"

namespace pxfs::meta {
namespace {

bool ChangesNothingButAtime(const AttrChange& change) {
  return change.atime_only && change.atime && !change.mode && !change.uid && !change.gid &&
         !change.mtime && !change.atime_now && !change.mtime_now && !change.clear_suid &&
         !change.content && !change.flags;
}

// ext4_setattr() of the kernel. Access times move all the same, and so do the flags themselves.
Status CheckFlags(const CallContext& ctx, const InodeRecord& inode, const AttrChange& change) {
  if (change.flags && !IsSuperuser(ctx)) return Fail(Code::kNotPermitted);
  if (change.flags && (*change.flags & ~kKeptFlags) != 0) return Fail(Code::kNotSupported);
  if (change.flags || ChangesNothingButAtime(change)) return {};
  PXFS_TRY(CheckNotImmutable(inode));
  // Both to now is what anybody may do who may write.
  const bool touches = change.atime_now && change.mtime_now;
  const bool sets_times =
      !touches && (change.atime || change.mtime || change.atime_now || change.mtime_now);
  const bool grows = !change.mode && !change.uid && !change.gid && !sets_times && !change.content;
  return grows ? Status() : CheckNotFixed(inode);
}

// Who may change what: setattr_prepare() of the kernel.
Status CheckChange(Transaction& tx, const CallContext& ctx, const InodeRecord& inode,
                   const AttrChange& change) {
  const Attr& attr = inode.attr;
  if (change.mode && attr.is_symlink()) return Fail(Code::kNotSupported);
  if (IsSuperuser(ctx)) return {};
  const bool owner = ctx.uid == attr.uid;
  if (change.uid && (!owner || *change.uid != attr.uid)) return Fail(Code::kNotPermitted);
  if (change.gid && (!owner || (*change.gid != attr.gid && !SubjectOf(ctx).InGroup(*change.gid))))
    return Fail(Code::kNotPermitted);
  if (change.mode && !owner) return Fail(Code::kNotPermitted);
  if ((change.atime || change.mtime) && !owner && !change.atime_only)
    return Fail(Code::kNotPermitted);
  if ((change.atime_now || change.mtime_now) && !owner)
    PXFS_TRY(CheckAccess(tx, ctx, inode, kMayWrite));
  if (change.content) PXFS_TRY(CheckAccess(tx, ctx, inode, kMayWrite));
  return {};
}

// The access list follows the bits.
Status ChangeAcl(Transaction& tx, InodeRecord& inode) {
  std::string key = keys::Xattr(inode.attr.inode, kAccessAclName);
  PXFS_ASSIGN(const auto value, tx.Get(key));
  if (!value) return DamagedRecord(key, "missing, but the inode says that it has one");
  PXFS_ASSIGN(Acl acl, ParseAcl(*value));
  ModeToAcl(inode.attr.mode, &acl);
  tx.Put(std::move(key), SerializeAcl(acl));
  return {};
}

Status ChangeMode(Transaction& tx, const CallContext& ctx, InodeRecord& inode, uint32_t mode) {
  Attr& attr = inode.attr;
  attr.mode = (attr.mode & S_IFMT) | (mode & 07777);
  if (!IsSuperuser(ctx) && !SubjectOf(ctx).InGroup(attr.gid)) attr.mode &= ~uint32_t{S_ISGID};
  if (inode.access_acl) PXFS_TRY(ChangeAcl(tx, inode));
  return {};
}

// As Linux does it: without group-execute, setgid stays for those who could have set it.
void ClearSetId(const CallContext& ctx, Attr& attr) {
  attr.mode &= ~uint32_t{S_ISUID};
  const bool may_set = IsSuperuser(ctx) || SubjectOf(ctx).InGroup(attr.gid);
  if ((attr.mode & S_IXGRP) || !may_set) attr.mode &= ~uint32_t{S_ISGID};
}

// A truncation: the other copies hold what is no longer the content.
void ChangeContent(InodeRecord& inode, const ContentState& content) {
  if (inode.writers == 0) ++inode.attr.generation;
  for (Replica& replica : inode.replicas) {
    if (replica.primary)
      replica.generation = inode.attr.generation;
    else if (replica.state == ReplicaState::kCurrent)
      replica.state = ReplicaState::kStale;
  }
  ApplyContent(inode, content);
}

}  // namespace

Result<Attr> LocalService::SetAttr(const CallContext& ctx, InodeId inode,
                                   const AttrChange& change) {
  const RequestKey request(ctx, Operation::kSetAttr, inode);
  if (repetitions_.Find(request)) return GetAttr(ctx, inode);
  auto changed = store_->Run([&](Transaction& tx) -> Result<Attr> {
    PXFS_ASSIGN(const InodePtr before, tx.GetInode(inode));
    PXFS_TRY(CheckFlags(ctx, *before, change));
    PXFS_TRY(CheckChange(tx, ctx, *before, change));
    if (change.content && !before->attr.is_regular())
      return Fail(before->attr.is_directory() ? Code::kIsDirectory : Code::kInvalid);
    PXFS_ASSIGN(InodeRecord * record, tx.EditInode(inode));
    Attr& attr = record->attr;
    const Timestamp now = store_->Now();
    if (change.content) ChangeContent(*record, *change.content);
    const bool chown = change.uid || change.gid;
    if (!attr.is_directory() && (change.clear_suid || (chown && ctx.check_access)))
      ClearSetId(ctx, attr);
    if (change.uid) attr.uid = *change.uid;
    if (change.gid) attr.gid = *change.gid;
    if (change.mode) PXFS_TRY(ChangeMode(tx, ctx, *record, *change.mode));
    if (change.atime_now || change.atime) attr.atime = change.atime_now ? now : *change.atime;
    if (change.mtime_now || change.mtime) attr.mtime = change.mtime_now ? now : *change.mtime;
    if (change.flags) attr.flags = *change.flags;
    if (!ChangesNothingButAtime(change)) attr.ctime = now;
    Repetitions::Record(tx, request);
    return attr;
  });
  if (!changed) return changed;
  Notices notices(sessions_, ctx.session);
  if (change.content)
    notices.Content(inode);
  else
    notices.Attr(inode);
  notices.Send();
  return changed;
}

}  // namespace pxfs::meta
