#include <linux/fs.h>

#include "meta/local_service_impl.h"
#include "meta/names.h"
#include "meta/ops/ancestors.h"

namespace pxfs::meta {
namespace {

struct Side {
  InodeId parent;
  std::string_view name;
  InodePtr directory;
  Transaction::Found found;
  InodePtr inode;  // null: no such name
};

Status Enter(Transaction& tx, const CallContext& ctx, Side* side) {
  PXFS_ASSIGN(side->directory, EnterDirectory(tx, ctx, side->parent));
  return {};
}

Status Find(Transaction& tx, Side* side) {
  PXFS_ASSIGN(side->found, tx.FindEntry(side->parent, side->name));
  if (!side->found.entry) return {};
  PXFS_ASSIGN(const InodeRecord* record, EditChild(tx, *side->found.entry));
  PXFS_ASSIGN(side->inode, tx.GetInode(record->attr.inode));
  return {};
}

// The directory that moves must not come to lie in itself, nor replace one that it lies in.
Status CheckLoops(Transaction& tx, const Side& from, const Side& to, bool exchange) {
  if (from.parent == to.parent) return {};
  if (from.inode->attr.is_directory()) {
    PXFS_ASSIGN(const bool inside, IsAncestor(tx, from.inode->attr.inode, to.parent));
    if (inside) return Fail(Code::kInvalid);
  }
  if (to.inode && to.inode->attr.is_directory()) {
    PXFS_ASSIGN(const bool above, IsAncestor(tx, to.inode->attr.inode, from.parent));
    if (above) return Fail(exchange ? Code::kInvalid : Code::kNotEmpty);
  }
  return {};
}

// In the order in which the kernel checks, so that the same errno wins.
Status CheckRename(Transaction& tx, const CallContext& ctx, const Side& from, const Side& to,
                   bool exchange) {
  PXFS_TRY(CheckMayRemove(tx, ctx, *from.directory, *from.inode));
  const bool directory = from.inode->attr.is_directory();
  if (!to.inode) {
    PXFS_TRY(CheckAccess(tx, ctx, *to.directory, kMayWrite | kMayExecute));
    PXFS_TRY(CheckNotImmutable(*to.directory));
  } else {
    PXFS_TRY(CheckMayRemove(tx, ctx, *to.directory, *to.inode));
    const bool onto_directory = to.inode->attr.is_directory();
    if (!exchange && directory && !onto_directory) return Fail(Code::kNotDirectory);
    if (!exchange && !directory && onto_directory) return Fail(Code::kIsDirectory);
  }
  // A directory that gets another parent has its ".." rewritten.
  if (from.parent != to.parent) {
    if (directory) PXFS_TRY(CheckAccess(tx, ctx, *from.inode, kMayWrite));
    if (exchange && to.inode->attr.is_directory())
      PXFS_TRY(CheckAccess(tx, ctx, *to.inode, kMayWrite));
  }
  if (!exchange && to.inode && to.inode->entries > 0) return Fail(Code::kNotEmpty);
  return {};
}

Status Exchange(Transaction& tx, const Side& from, const Side& to, Timestamp now) {
  PXFS_ASSIGN(InodeRecord * a, tx.EditInode(from.inode->attr.inode));
  PXFS_ASSIGN(InodeRecord * b, tx.EditInode(to.inode->attr.inode));
  PXFS_ASSIGN(InodeRecord * a_directory, tx.EditInode(from.parent));
  PXFS_ASSIGN(InodeRecord * b_directory, tx.EditInode(to.parent));
  const int directories = (b->attr.is_directory() ? 1 : 0) - (a->attr.is_directory() ? 1 : 0);
  a_directory->AddDirectories(directories);
  b_directory->AddDirectories(-directories);
  tx.ReplaceEntry(from.parent, from.found, b->attr.inode, b->attr.mode & S_IFMT);
  tx.ReplaceEntry(to.parent, to.found, a->attr.inode, a->attr.mode & S_IFMT);
  PXFS_TRY(
      MoveLink(tx, *a, from.parent, from.name, from.found.slot, to.parent, to.name, to.found.slot));
  PXFS_TRY(
      MoveLink(tx, *b, to.parent, to.name, to.found.slot, from.parent, from.name, from.found.slot));
  Touch(*a_directory, now);
  Touch(*b_directory, now);
  a->attr.ctime = b->attr.ctime = now;
  return {};
}

Status Move(Transaction& tx, const Side& from, const Side& to, Timestamp now) {
  PXFS_ASSIGN(InodeRecord * child, tx.EditInode(from.inode->attr.inode));
  PXFS_ASSIGN(InodeRecord * old_directory, tx.EditInode(from.parent));
  PXFS_ASSIGN(InodeRecord * new_directory, tx.EditInode(to.parent));
  tx.EraseEntry(from.parent, from.found);
  --old_directory->entries;
  PXFS_ASSIGN(const uint64_t slot,
              tx.AddEntry(to.parent, to.name, child->attr.inode, child->attr.mode & S_IFMT,
                          &new_directory->collided));
  ++new_directory->entries;
  if (child->attr.is_directory()) {
    old_directory->AddDirectories(-1);
    new_directory->AddDirectories(1);
  }
  PXFS_TRY(MoveLink(tx, *child, from.parent, from.name, from.found.slot, to.parent, to.name, slot));
  Touch(*old_directory, now);
  Touch(*new_directory, now);
  child->attr.ctime = now;
  return {};
}

}  // namespace

Result<Removed> LocalService::Rename(const CallContext& ctx, InodeId parent, std::string_view name,
                                     InodeId new_parent, std::string_view new_name,
                                     uint32_t flags) {
  if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
    return Fail(Code::kInvalid);
  const bool exchange = flags == RENAME_EXCHANGE;
  PXFS_TRY(CheckName(name));
  PXFS_TRY(CheckName(new_name));
  const RequestKey request(ctx, Operation::kRename, parent, name);
  if (const auto done = repetitions_.Find(request)) return Removed{done->inode, done->orphaned};
  InodeId moved, other;  // what carries the new name, and what it had named before
  auto renamed = store_->Run([&](Transaction& tx) -> Result<Removed> {
    Side from{parent, name, {}, {}, {}}, to{new_parent, new_name, {}, {}, {}};
    moved = other = InodeId();
    PXFS_TRY(Enter(tx, ctx, &from));
    PXFS_TRY(Enter(tx, ctx, &to));
    PXFS_TRY(Find(tx, &from));
    if (!from.inode) return Fail(Code::kNotFound);
    PXFS_TRY(Find(tx, &to));
    if (flags == RENAME_NOREPLACE && to.inode) return Fail(Code::kExists);
    if (exchange && !to.inode) return Fail(Code::kNotFound);
    PXFS_TRY(CheckLoops(tx, from, to, exchange));
    if (to.inode && to.inode->attr.inode == from.inode->attr.inode) return Removed{};
    PXFS_TRY(CheckRename(tx, ctx, from, to, exchange));

    const Timestamp now = store_->Now();
    moved = from.inode->attr.inode;
    if (to.inode) other = to.inode->attr.inode;
    if (new_parent != parent && !policies_.empty()) {
      PXFS_TRY(LookAtCopies(tx, moved));
      if (exchange) PXFS_TRY(LookAtCopies(tx, other));
    }
    if (exchange) {
      PXFS_TRY(Exchange(tx, from, to, now));
      Repetitions::Record(tx, request);
      return Removed{};
    }
    Removed result;
    if (to.inode) {
      PXFS_ASSIGN(InodeRecord * directory, tx.EditInode(new_parent));
      PXFS_ASSIGN(InodeRecord * victim, tx.EditInode(other));
      PXFS_TRY(DropName(tx, *directory, to.found, *victim, now));
      result = {other, victim->removed()};
      if (result.orphaned) PXFS_TRY(orphans_.Admit(tx, *victim));
    }
    PXFS_TRY(Move(tx, from, to, now));
    Repetitions::Record(tx, request, result.inode, result.orphaned);
    return result;
  });
  if (!renamed || !moved) return renamed;
  if (renamed->orphaned) {
    reclaim_.Announce();
    if (policies_.Has(renamed->inode)) policies_.Publish(renamed->inode, {});
  }
  Notices notices(sessions_, ctx.session);
  notices.Entry(parent, name);
  notices.Entry(new_parent, new_name);
  notices.Attr(parent);
  if (new_parent != parent) notices.Attr(new_parent);
  notices.Attr(moved);
  if (renamed->inode)
    notices.Unlinked(*renamed);
  else if (other)
    notices.Attr(other);
  notices.Send();
  return renamed;
}

}  // namespace pxfs::meta
