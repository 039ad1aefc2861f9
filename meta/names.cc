#include "meta/names.h"

#include "meta/keys.h"

namespace pxfs::meta {
namespace {

Status WriteLink(Transaction& tx, InodeId inode, InodeId parent, uint64_t slot,
                 std::string_view name) {
  tx.Put(keys::Link(inode, parent, slot), EncodeLinkName(name));
  return {};
}

// The child gets one more link, in `slot`.
Status AddLink(Transaction& tx, InodeRecord& child, InodeId parent, uint64_t slot,
               std::string_view name) {
  const InodeId inode = child.attr.inode;
  if (child.attr.nlink == 0) {
    child.parent = parent;
    child.name = name;
  } else {
    if (child.attr.nlink == 1) {
      PXFS_ASSIGN(const Transaction::Found first, tx.FindEntry(child.parent, child.name));
      if (!first.entry) return DamagedRecord(keys::Inode(inode), "its name is not there");
      PXFS_TRY(WriteLink(tx, inode, child.parent, first.slot, child.name));
    }
    PXFS_TRY(WriteLink(tx, inode, parent, slot, name));
  }
  ++child.attr.nlink;
  return {};
}

// The record names a link that is left, and if that is the only one, no link record remains.
Status NameRemainingLink(Transaction& tx, InodeRecord& child) {
  const std::string begin = keys::Make(keys::Family::kLink, child.attr.inode.value);
  PXFS_ASSIGN(const std::vector<KvWrite> left, tx.Scan(begin, keys::EndOf(begin), 1));
  uint64_t parent = 0;
  if (left.empty() || !keys::ReadNumber(left[0].key, 1, &parent))
    return DamagedRecord(keys::Inode(child.attr.inode), "its other links are not known");
  child.parent = InodeId(parent);
  PXFS_ASSIGN(child.name, DecodeLinkName(left[0].key, left[0].value));
  if (child.attr.nlink == 1) tx.Erase(left[0].key);
  return {};
}

Status DropLink(Transaction& tx, InodeRecord& child, InodeId parent, uint64_t slot,
                std::string_view name) {
  if (child.attr.nlink == 0) return DamagedRecord(keys::Inode(child.attr.inode), "link count is 0");
  --child.attr.nlink;
  if (child.attr.nlink == 0) return {};
  tx.Erase(keys::Link(child.attr.inode, parent, slot));
  const bool was_named = child.parent == parent && child.name == name;
  if (was_named || child.attr.nlink == 1) return NameRemainingLink(tx, child);
  return {};
}

}  // namespace

Status CheckName(std::string_view name) {
  if (name.empty()) return Fail(Code::kNotFound);
  if (name.size() > kMaxNameBytes) return Fail(Code::kNameTooLong);
  if (name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos)
    return Fail(Code::kInvalid);
  return {};
}

Result<InodePtr> GetDirectory(Transaction& tx, InodeId directory) {
  PXFS_ASSIGN(InodePtr record, tx.GetInode(directory));
  if (!record->attr.is_directory()) return Fail(Code::kNotDirectory);
  if (record->removed()) return Fail(Code::kNotFound);
  return record;
}

Result<InodePtr> EnterDirectory(Transaction& tx, const CallContext& ctx, InodeId directory) {
  PXFS_ASSIGN(InodePtr record, GetDirectory(tx, directory));
  PXFS_TRY(CheckAccess(tx, ctx, *record, kMayExecute));
  return record;
}

Result<InodeRecord*> EnterForNew(Transaction& tx, const CallContext& ctx, InodeId directory,
                                 std::string_view name) {
  PXFS_ASSIGN(const InodePtr record, EnterDirectory(tx, ctx, directory));
  PXFS_ASSIGN(const Transaction::Found found, tx.FindEntry(directory, name));
  if (found.entry) return Fail(Code::kExists);
  PXFS_TRY(CheckAccess(tx, ctx, *record, kMayWrite));
  PXFS_TRY(CheckNotImmutable(*record));
  PXFS_TRY(tx.RoomToGrow());
  return tx.EditInode(directory);
}

Result<InodeRecord*> EditChild(Transaction& tx, const EntryRecord& entry) {
  auto child = tx.EditInode(entry.child);
  if (!child && child.error().code() == Code::kNotFound)
    return DamagedRecord(keys::Inode(entry.child),
                         "missing, but \"" + entry.name + "\" refers to it");
  return child;
}

Status AddName(Transaction& tx, InodeRecord& directory, std::string_view name, InodeRecord& child,
               Timestamp now) {
  const InodeId parent = directory.attr.inode;
  PXFS_ASSIGN(const uint64_t slot, tx.AddEntry(parent, name, child.attr.inode,
                                               child.attr.mode & S_IFMT, &directory.collided));
  ++directory.entries;
  Touch(directory, now);
  if (child.attr.is_directory()) {
    directory.AddDirectories(1);
    child.parent = parent;
    child.name = name;
    child.AddDirectories(0);
    return {};
  }
  return AddLink(tx, child, parent, slot, name);
}

Status DropName(Transaction& tx, InodeRecord& directory, const Transaction::Found& found,
                InodeRecord& child, Timestamp now) {
  const InodeId parent = directory.attr.inode;
  tx.EraseEntry(parent, found);
  if (directory.entries == 0)
    return DamagedRecord(keys::Inode(parent), "it counts too few entries");
  --directory.entries;
  Touch(directory, now);
  child.attr.ctime = now;
  if (child.attr.is_directory()) {
    if (directory.directories == 0)
      return DamagedRecord(keys::Inode(parent), "it counts too few directories");
    directory.AddDirectories(-1);
    child.attr.nlink = 0;
    tx.Erase(keys::Policy(child.attr.inode));  // nothing is below it any more, nor will be
    return {};
  }
  return DropLink(tx, child, parent, found.slot, found.entry->name);
}

Status MoveLink(Transaction& tx, InodeRecord& child, InodeId old_directory,
                std::string_view old_name, uint64_t old_slot, InodeId new_directory,
                std::string_view new_name, uint64_t new_slot) {
  const bool named = child.parent == old_directory && child.name == old_name;
  if (!child.attr.is_directory() && child.attr.nlink > 1) {
    const std::string old_key = keys::Link(child.attr.inode, old_directory, old_slot);
    const std::string new_key = keys::Link(child.attr.inode, new_directory, new_slot);
    tx.Erase(old_key);
    tx.Put(new_key, EncodeLinkName(new_name));
  }
  if (named) {
    child.parent = new_directory;
    child.name = new_name;
  }
  return {};
}

}  // namespace pxfs::meta
