#include "meta/new_inode.h"

#include "meta/access.h"
#include "meta/keys.h"
#include "meta/posix_acl.h"

namespace pxfs::meta {
namespace {

constexpr uint64_t kDirectoryBytes = 4096;  // what a directory shows, whatever it holds
constexpr uint64_t kBlockBytes = 512;

// Mode and ACLs of the new inode where the directory has a default list.
Status Inherit(Transaction& tx, const InodeRecord& directory, InodeRecord& inode) {
  const std::string key = keys::Xattr(directory.attr.inode, kDefaultAclName);
  PXFS_ASSIGN(const std::optional<std::string> value, tx.Get(key));
  if (!value) return DamagedRecord(key, "missing, but the directory says that it has one");
  PXFS_ASSIGN(Acl acl, ParseAcl(*value));
  if (inode.attr.is_directory()) {
    PXFS_TRY(PutXattr(tx, inode, kDefaultAclName, *value));
    inode.default_acl = true;
  }
  if (!InheritAcl(&acl, &inode.attr.mode)) {
    PXFS_TRY(PutXattr(tx, inode, kAccessAclName, SerializeAcl(acl)));
    inode.access_acl = true;
  }
  return {};
}

void InheritGroup(const CallContext& ctx, const InodeRecord& directory, Attr& attr) {
  if (!(directory.attr.mode & S_ISGID)) return;
  attr.gid = directory.attr.gid;
  if (attr.is_directory()) {
    attr.mode |= S_ISGID;
    return;
  }
  // As the kernel: nobody gets a setgid program of a group that he is not in.
  const bool setgid_program = (attr.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (setgid_program && !IsSuperuser(ctx) && !SubjectOf(ctx).InGroup(attr.gid))
    attr.mode &= ~uint32_t{S_ISGID};
}

}  // namespace

Status CheckNewNode(const CallContext& ctx, const NewNode& node) {
  switch (node.mode & S_IFMT) {
    case S_IFLNK:
      if (node.symlink_target.empty()) return Fail(Code::kNotFound);
      if (node.symlink_target.size() > kMaxSymlinkBytes) return Fail(Code::kNameTooLong);
      return {};
    case S_IFCHR:
    case S_IFBLK:
      if (!IsSuperuser(ctx)) return Fail(Code::kNotPermitted);
      return {};
    case S_IFREG:
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
      return {};
    default:
      return Fail(Code::kInvalid);
  }
}

Result<InodeRecord*> MakeInode(Transaction& tx, const CallContext& ctx,
                               const InodeRecord& directory, const NewNode& node, InodeId inode,
                               Timestamp now) {
  InodeRecord record;
  Attr& attr = record.attr;
  attr.inode = inode;
  attr.mode = node.mode & (S_IFMT | 07777);
  attr.uid = ctx.uid;
  attr.gid = ctx.gid;
  attr.atime = attr.mtime = attr.ctime = attr.btime = now;
  if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode)) attr.rdev = node.rdev;
  if (attr.is_directory()) {
    attr.size_bytes = kDirectoryBytes;
    attr.blocks = kDirectoryBytes / kBlockBytes;
  }
  if (attr.is_symlink()) {
    attr.mode = S_IFLNK | 0777;
    attr.size_bytes = node.symlink_target.size();
    record.symlink_target = node.symlink_target;
  }
  InheritGroup(ctx, directory, attr);
  InodeRecord& added = tx.AddInode(std::move(record));
  if (added.attr.is_symlink()) return &added;
  if (directory.default_acl)
    PXFS_TRY(Inherit(tx, directory, added));
  else
    added.attr.mode &= ~(node.umask & 0777);
  return &added;
}

Status PutXattr(Transaction& tx, InodeRecord& inode, std::string_view name,
                std::string_view value) {
  std::string key = keys::Xattr(inode.attr.inode, name);
  PXFS_ASSIGN(const auto old, tx.Get(key));
  if (!old) ++inode.xattrs;
  tx.Put(std::move(key), std::string(value));
  return {};
}

Status EraseXattr(Transaction& tx, InodeRecord& inode, std::string_view name) {
  std::string key = keys::Xattr(inode.attr.inode, name);
  PXFS_ASSIGN(const auto old, tx.Get(key));
  if (!old) return {};
  if (inode.xattrs > 0) --inode.xattrs;
  tx.Erase(std::move(key));
  return {};
}

}  // namespace pxfs::meta
