#include <map>
#include <unordered_map>

#include "meta/acl_xattrs.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/names.h"
#include "meta/new_inode.h"
#include "meta/ops/xattr_rules.h"

namespace pxfs::meta {
namespace {

Error At(const TreeNode& node, Error error) { return error.WithContext(node.path); }

// One call of AddTree within its transaction.
class TreeBuilder {
 public:
  TreeBuilder(Transaction& tx, const CallContext& ctx, InodeId root, IfExists if_exists,
              Orphanage& orphans, Timestamp now)
      : tx_(tx), ctx_(ctx), root_(root), if_exists_(if_exists), orphans_(orphans), now_(now) {
    directories_[""] = root;
  }

  // fresh: an unused inode number, for what has no reserved one. replica: for a regular file
  // without an object.
  Status Add(const TreeNode& node, InodeId fresh, const Replica& replica);
  // Directories that were made here get the times that they were to have.
  Status SetTimes();

  const std::vector<Removed>& removed() const { return removed_; }
  const std::map<InodeId, bool>& touched() const { return touched_; }  // existing directories
  const std::vector<InodeRecord*>& files() const { return files_; }    // made here

 private:
  Result<InodeId> FindDirectory(std::string_view path);
  Result<InodeId> FindFile(std::string_view path);
  Status MakeRoom(const TreeNode& node, InodeRecord& directory, const Transaction::Found& found);
  Result<InodeRecord*> Make(const TreeNode& node, InodeId fresh, const Replica& replica);
  Result<Replica> TakeReserved(const TreeNode& node);

  Transaction& tx_;
  const CallContext& ctx_;
  const InodeId root_;
  const IfExists if_exists_;
  Orphanage& orphans_;
  const Timestamp now_;
  std::unordered_map<std::string, InodeId> directories_;  // by path
  std::vector<std::pair<InodeId, const TreeNode*>> made_;
  std::map<InodeId, bool> touched_;
  std::vector<Removed> removed_;
  std::vector<InodeRecord*> files_;
};

std::pair<std::string_view, std::string_view> SplitLast(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<InodeId> TreeBuilder::FindDirectory(std::string_view path) {
  const auto known = directories_.find(std::string(path));
  if (known != directories_.end()) return known->second;
  const auto [above, name] = SplitLast(path);
  PXFS_TRY(CheckName(name));
  PXFS_ASSIGN(const InodeId parent, FindDirectory(above));
  PXFS_TRY(EnterDirectory(tx_, ctx_, parent));
  PXFS_ASSIGN(const Transaction::Found found, tx_.FindEntry(parent, name));
  if (!found.entry) return Fail(Code::kNotFound);
  if (!S_ISDIR(found.entry->type)) return Fail(Code::kNotDirectory);
  directories_[std::string(path)] = found.entry->child;
  return found.entry->child;
}

Result<InodeId> TreeBuilder::FindFile(std::string_view path) {
  const auto [above, name] = SplitLast(path);
  PXFS_ASSIGN(const InodeId parent, FindDirectory(above));
  PXFS_ASSIGN(const Transaction::Found found, tx_.FindEntry(parent, name));
  if (!found.entry) return Fail(Code::kNotFound);
  if (S_ISDIR(found.entry->type)) return Fail(Code::kNotPermitted);
  return found.entry->child;
}

// The name is taken: by a directory that is kept (then the caller is done), or by a file that goes.
Status TreeBuilder::MakeRoom(const TreeNode& node, InodeRecord& directory,
                             const Transaction::Found& found) {
  if (if_exists_ != IfExists::kReplace || S_ISDIR(found.entry->type) || S_ISDIR(node.mode))
    return Fail(Code::kExists);
  PXFS_ASSIGN(InodeRecord * victim, EditChild(tx_, *found.entry));
  PXFS_TRY(CheckMayRemove(tx_, ctx_, directory, *victim));
  PXFS_TRY(DropName(tx_, directory, found, *victim, now_));
  removed_.push_back({found.entry->child, victim->removed()});
  if (victim->removed()) PXFS_TRY(orphans_.Admit(tx_, *victim));
  return {};
}

Result<Replica> TreeBuilder::TakeReserved(const TreeNode& node) {
  const std::string key = keys::Reservation(ctx_.session, node.object.inode);
  PXFS_ASSIGN(const auto reserved, tx_.GetRecord<ReservationRecord>(key));
  if (!reserved || reserved->detached_directory || reserved->copy)
    return Fail(Code::kInvalid, "its object was not reserved in this session");
  tx_.Erase(key);
  Replica replica;
  replica.volume = reserved->volume;
  replica.object_generation = replica.generation = reserved->object_generation;
  replica.primary = true;
  replica.materialized = true;
  replica.checksum = node.checksum;
  return replica;
}

Result<InodeRecord*> TreeBuilder::Make(const TreeNode& node, InodeId fresh,
                                       const Replica& replica) {
  CallContext owner = ctx_;
  owner.uid = node.uid;
  owner.gid = node.gid;
  if (!IsSuperuser(ctx_) && node.uid != ctx_.uid) return Fail(Code::kNotPermitted);
  const NewNode made{node.mode, 0, node.rdev, node.symlink_target};
  PXFS_TRY(CheckNewNode(ctx_, made));
  const bool reserved = S_ISREG(node.mode) && node.object.inode;
  // Rules of a parent (setgid, default ACL) do not apply: the tree comes as it is.
  PXFS_ASSIGN(InodeRecord * record, MakeInode(tx_, owner, InodeRecord(), made,
                                              reserved ? node.object.inode : fresh, now_));
  record->attr.atime = node.atime;
  record->attr.mtime = node.mtime;
  if (S_ISREG(node.mode)) {
    Replica content = replica;
    if (reserved) {
      PXFS_ASSIGN(content, TakeReserved(node));
      record->attr.size_bytes = node.size_bytes;
      record->attr.blocks = node.blocks;
    } else if (node.size_bytes != 0) {
      return Fail(Code::kInvalid, "a file with content needs a reserved object");
    }
    record->attr.generation = content.generation;
    record->replicas.push_back(std::move(content));
  }
  for (const auto& [name, value] : node.xattrs) {
    PXFS_TRY(CheckXattrName(name));
    PXFS_TRY(CheckXattrWrite(tx_, owner, *record, name));
    if (!IsAclName(name)) {
      PXFS_TRY(PutXattr(tx_, *record, name, value));
      continue;
    }
    PXFS_ASSIGN(const Acl acl, ParseAcl(value));
    PXFS_TRY(SetAcl(tx_, owner, *record, name, acl));
  }
  return record;
}

Status TreeBuilder::Add(const TreeNode& node, InodeId fresh, const Replica& replica) {
  if (node.path.starts_with('/')) return Fail(Code::kInvalid, "not a relative path");
  const auto [above, name] = SplitLast(node.path);
  PXFS_TRY(CheckName(name));
  PXFS_ASSIGN(const InodeId parent, FindDirectory(above));
  PXFS_ASSIGN(const InodePtr entered, EnterDirectory(tx_, ctx_, parent));
  PXFS_TRY(CheckAccess(tx_, ctx_, *entered, kMayWrite));
  PXFS_TRY(CheckNotImmutable(*entered));
  PXFS_ASSIGN(InodeRecord * directory, tx_.EditInode(parent));
  PXFS_ASSIGN(const Transaction::Found found, tx_.FindEntry(parent, name));
  const bool is_directory = S_ISDIR(node.mode) && node.hard_link_to.empty();
  if (found.entry) {
    if (is_directory && S_ISDIR(found.entry->type) && if_exists_ != IfExists::kFail) {
      directories_[node.path] = found.entry->child;
      return {};
    }
    PXFS_TRY(MakeRoom(node, *directory, found));
  }
  touched_[parent] = true;
  InodeRecord* child = nullptr;
  if (!node.hard_link_to.empty()) {
    PXFS_ASSIGN(const InodeId target, FindFile(node.hard_link_to));
    PXFS_ASSIGN(child, tx_.EditInode(target));
    PXFS_TRY(CheckNotFixed(*child));
    if (child->attr.nlink >= kMaxLinks) return Fail(Code::kTooManyLinks);
    child->attr.ctime = now_;
  } else {
    PXFS_ASSIGN(child, Make(node, fresh, replica));
    if (S_ISREG(node.mode)) files_.push_back(child);
  }
  PXFS_TRY(AddName(tx_, *directory, name, *child, now_));
  if (is_directory) {
    directories_[node.path] = child->attr.inode;
    made_.push_back({child->attr.inode, &node});
  }
  return {};
}

Status TreeBuilder::SetTimes() {
  for (const auto& [inode, node] : made_) {
    PXFS_ASSIGN(InodeRecord * record, tx_.EditInode(inode));
    record->attr.mtime = node->mtime;
    touched_.erase(inode);
  }
  return {};
}

}  // namespace

Status LocalService::AddTree(const CallContext& ctx, InodeId directory,
                             std::span<const TreeNode> nodes, IfExists if_exists) {
  PXFS_TRY(sessions_.Require(ctx.session));
  if (nodes.empty()) return {};
  PXFS_ASSIGN(const InodeId first, store_->NewInodes(nodes.size()));
  std::vector<Removed> removed;
  std::map<InodeId, bool> touched;
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    TreeBuilder builder(tx, ctx, directory, if_exists, orphans_, store_->Now());
    PXFS_TRY(GetDirectory(tx, directory));
    PXFS_TRY(tx.RoomToGrow());
    InodeId fresh = first;
    for (const TreeNode& node : nodes) {
      Replica replica;
      if (S_ISREG(node.mode) && !node.object.inode && node.hard_link_to.empty()) {
        PXFS_ASSIGN(replica, PlaceFile(directory, fresh, 0));
      }
      if (const Status added = builder.Add(node, fresh, replica); !added)
        return Fail(At(node, added.error()));
      ++fresh.value;
    }
    PXFS_TRY(builder.SetTimes());
    for (const InodeRecord* file : builder.files()) PXFS_TRY(WantCopies(tx, *file, directory));
    removed = builder.removed();
    touched = builder.touched();
    return {};
  }));
  if (!removed.empty()) reclaim_.Announce();
  Notices notices(sessions_, ctx.session);
  for (const auto& [inode, changed] : touched) {
    notices.Listing(inode);
    notices.Attr(inode);
  }
  for (const Removed& gone : removed) notices.Unlinked(gone);
  notices.Send();
  return {};
}

}  // namespace pxfs::meta
