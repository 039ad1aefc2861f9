#include "tests/meta/model/oracle.h"

#include <linux/fs.h>
#include <sys/xattr.h>

#include <algorithm>

namespace pxfs::meta::model {
namespace {

Answer CheckName(const std::string& name) {
  return name.size() > 255 ? Code::kNameTooLong : kSuccess;
}

bool TakesUserXattrs(const Node& node) { return node.is_regular() || node.is_directory(); }
bool IsUserXattr(const std::string& name) { return name.starts_with("user."); }

}  // namespace

Oracle::Oracle() {
  Node root;
  root.id = kRootInode;
  root.mode = S_IFDIR | 0755;
  root.parent = kRootInode;
  nodes_[kRootInode] = root;
}

uint32_t Oracle::LinksOf(const Node& node) const {
  if (!node.is_directory()) return static_cast<uint32_t>(node.names.size());
  if (!node.named) return 0;
  return 2 + static_cast<uint32_t>(std::count_if(
                 node.entries.begin(), node.entries.end(),
                 [&](const auto& entry) { return Get(entry.second).is_directory(); }));
}

Answer Oracle::Enter(InodeId directory) const {
  const Node& node = Get(directory);
  if (!node.is_directory()) return Code::kNotDirectory;
  return node.named ? kSuccess : Code::kNotFound;
}

// 0: no such name.
InodeId Oracle::Child(InodeId directory, const std::string& name) const {
  const auto& entries = Get(directory).entries;
  const auto found = entries.find(name);
  return found == entries.end() ? InodeId() : found->second;
}

bool Oracle::IsInside(InodeId directory, InodeId ancestor) const {
  while (directory != ancestor) {
    if (directory == kRootInode) return false;
    directory = Get(directory).parent;
  }
  return true;
}

void Oracle::Attach(InodeId parent, const std::string& name, InodeId child) {
  At(parent).entries[name] = child;
  At(parent).mtime.reset();
  Node& node = At(child);
  node.named = true;
  node.held = node.nameless = false;
  if (node.is_directory()) {
    node.parent = parent;
  } else {
    node.names.emplace(parent, name);
  }
}

void Oracle::Detach(InodeId parent, const std::string& name, InodeId child) {
  At(parent).entries.erase(name);
  At(parent).mtime.reset();
  At(child).names.erase({parent, name});
}

Removed Oracle::Drop(InodeId parent, const std::string& name) {
  const InodeId child = Child(parent, name);
  Detach(parent, name, child);
  Node& node = At(child);
  if (!node.is_directory() && !node.names.empty()) return {child, false};
  node.named = false;
  node.held = true;  // kMount caches
  node.policy = {};
  return {child, true};
}

void Oracle::EndIfUnused(InodeId id) {
  const Node& node = Get(id);
  if (!node.named && !node.held && node.writers.empty()) nodes_.erase(id);
}

Answer Oracle::MayMake(InodeId parent, const std::string& name, const NewNode&) const {
  if (const Answer entered = Enter(parent); entered != kSuccess) return entered;
  if (const Answer valid = CheckName(name); valid != kSuccess) return valid;
  return Child(parent, name) ? Code::kExists : kSuccess;
}

// In a setgid directory the group is the directory's, and directories pass the bit on.
void Oracle::Inherit(const Node& directory, Node& node) const {
  if (!(directory.mode & S_ISGID)) return;
  node.gid = directory.gid;
  if (node.is_directory()) node.mode |= S_ISGID;
}

void Oracle::MakeNameless(InodeId id, InodeId parent, const NewNode& made, uint32_t uid,
                          uint32_t gid) {
  Node node;
  node.id = id;
  node.uid = uid;
  node.gid = gid;
  node.named = false;
  node.nameless = node.held = true;
  node.mode = made.mode & ~(made.umask & 0777);
  if (S_ISLNK(made.mode)) {
    node.mode = S_IFLNK | 0777;
    node.target = made.symlink_target;
    node.size_bytes = node.target.size();
  }
  if (S_ISCHR(made.mode) || S_ISBLK(made.mode)) node.rdev = made.rdev;
  if (S_ISREG(made.mode)) node.generation = 1;
  Inherit(Get(parent), node);
  nodes_[id] = node;
}

void Oracle::Make(InodeId id, InodeId parent, const std::string& name, const NewNode& node,
                  uint32_t uid, uint32_t gid) {
  MakeNameless(id, parent, node, uid, gid);
  Attach(parent, name, id);
}

void Oracle::Open(InodeId id, Session session) { At(id).writers.insert(session); }

Answer Oracle::Lookup(InodeId parent, const std::string& name, InodeId* found) const {
  if (const Answer entered = Enter(parent); entered != kSuccess) return entered;
  if (const Answer valid = CheckName(name); valid != kSuccess) return valid;
  *found = Child(parent, name);
  return *found ? kSuccess : Code::kNotFound;
}

Answer Oracle::Link(InodeId id, InodeId parent, const std::string& name) {
  if (const Answer may = MayMake(parent, name, {}); may != kSuccess) return may;
  const Node& node = Get(id);
  if (node.is_directory()) return Code::kNotPermitted;
  // Only what never had a name may get a first one.
  if (!node.named && !node.nameless) return Code::kNotFound;
  Attach(parent, name, id);
  return kSuccess;
}

Answer Oracle::Unlink(InodeId parent, const std::string& name, Removed* removed) {
  InodeId child;
  if (const Answer found = Lookup(parent, name, &child); found != kSuccess) return found;
  if (Get(child).is_directory()) return Code::kIsDirectory;
  *removed = Drop(parent, name);
  return kSuccess;
}

Answer Oracle::RemoveDirectory(InodeId parent, const std::string& name, Removed* removed) {
  InodeId child;
  if (const Answer found = Lookup(parent, name, &child); found != kSuccess) return found;
  if (!Get(child).is_directory()) return Code::kNotDirectory;
  if (!Get(child).entries.empty()) return Code::kNotEmpty;
  *removed = Drop(parent, name);
  return kSuccess;
}

Answer Oracle::Rename(InodeId parent, const std::string& name, InodeId new_parent,
                      const std::string& new_name, uint32_t flags, Removed* removed) {
  *removed = {};
  const bool exchange = flags == RENAME_EXCHANGE;
  if (flags != 0 && flags != RENAME_NOREPLACE && !exchange) return Code::kInvalid;
  for (const InodeId directory : {parent, new_parent})
    if (const Answer entered = Enter(directory); entered != kSuccess) return entered;
  for (const std::string& n : {name, new_name})
    if (const Answer valid = CheckName(n); valid != kSuccess) return valid;
  const InodeId from = Child(parent, name), to = Child(new_parent, new_name);
  if (!from) return Code::kNotFound;
  if (flags == RENAME_NOREPLACE && to) return Code::kExists;
  if (exchange && !to) return Code::kNotFound;
  // Neither may end up inside itself; renameat2 looks at that before it compares types.
  if (Get(from).is_directory() && IsInside(new_parent, from)) return Code::kInvalid;
  if (to && Get(to).is_directory() && IsInside(parent, to))
    return exchange ? Code::kInvalid : Code::kNotEmpty;
  if (from == to) return kSuccess;

  if (exchange) {
    Detach(parent, name, from);
    Detach(new_parent, new_name, to);
    Attach(parent, name, to);
    Attach(new_parent, new_name, from);
    return kSuccess;
  }
  if (to) {
    if (Get(from).is_directory() && !Get(to).is_directory()) return Code::kNotDirectory;
    if (!Get(from).is_directory() && Get(to).is_directory()) return Code::kIsDirectory;
    if (!Get(to).entries.empty()) return Code::kNotEmpty;
    *removed = Drop(new_parent, new_name);
  }
  Detach(parent, name, from);
  Attach(new_parent, new_name, from);
  return kSuccess;
}

Answer Oracle::SetAttr(InodeId id, const AttrChange& change) {
  Node& node = At(id);
  if (change.mode && S_ISLNK(node.mode)) return Code::kNotSupported;
  if (change.uid) node.uid = *change.uid;
  if (change.gid) node.gid = *change.gid;
  if (change.clear_suid && !S_ISDIR(node.mode)) {
    node.mode &= ~uint32_t{S_ISUID};
    if (node.mode & S_IXGRP) node.mode &= ~uint32_t{S_ISGID};
  }
  if (change.mode) node.mode = (node.mode & S_IFMT) | *change.mode;
  if (change.content) {
    node.size_bytes = change.content->size_bytes;
    node.atime = change.content->atime;
    node.mtime = change.content->mtime;
    if (node.writers.empty()) ++node.generation;
  }
  if (change.atime) node.atime = change.atime;
  if (change.mtime) node.mtime = change.mtime;
  if (change.atime_now) node.atime.reset();
  if (change.mtime_now) node.mtime.reset();
  return kSuccess;
}

Answer Oracle::SetXattr(InodeId id, const std::string& name, const std::string& value, int flags) {
  Node& node = At(id);
  if (IsUserXattr(name) && !TakesUserXattrs(node)) return Code::kNotPermitted;
  const bool there = node.xattrs.contains(name);
  if (flags == XATTR_CREATE && there) return Code::kExists;
  if (flags == XATTR_REPLACE && !there) return Code::kNoData;
  node.xattrs[name] = value;
  return kSuccess;
}

Answer Oracle::GetXattr(InodeId id, const std::string& name, std::string* value) const {
  const auto& xattrs = Get(id).xattrs;
  const auto found = xattrs.find(name);
  if (found == xattrs.end()) return Code::kNoData;
  *value = found->second;
  return kSuccess;
}

Answer Oracle::RemoveXattr(InodeId id, const std::string& name) {
  Node& node = At(id);
  if (IsUserXattr(name) && !TakesUserXattrs(node)) return Code::kNotPermitted;
  return node.xattrs.erase(name) > 0 ? kSuccess : Code::kNoData;
}

Answer Oracle::ReadLink(InodeId id, std::string* target) const {
  if (!S_ISLNK(Get(id).mode)) return Code::kInvalid;
  *target = Get(id).target;
  return kSuccess;
}

Answer Oracle::OpenForWrite(InodeId id, Session session) {
  Node& node = At(id);
  if (node.is_directory()) return Code::kIsDirectory;
  if (!node.is_regular()) return Code::kInvalid;
  if (node.writers.insert(session).second) ++node.generation;
  return kSuccess;
}

Answer Oracle::CommitContent(InodeId id, Session session, const ContentState& content) {
  Node& node = At(id);
  if (!node.writers.contains(session)) return Code::kInvalid;
  node.size_bytes = content.size_bytes;
  node.atime = content.atime;
  node.mtime = content.mtime;
  return kSuccess;
}

Answer Oracle::CloseWrite(InodeId id, Session session, const ContentState& content) {
  if (const Answer committed = CommitContent(id, session, content); committed != kSuccess)
    return committed;
  At(id).writers.erase(session);
  EndIfUnused(id);
  return kSuccess;
}

void Oracle::Forget(InodeId id) {
  At(id).held = false;
  EndIfUnused(id);
}

Answer Oracle::SetPolicy(InodeId directory, const Policy& policy) {
  if (!Get(directory).is_directory()) return Code::kNotDirectory;
  At(directory).policy = policy;
  return kSuccess;
}

Policy Oracle::EffectivePolicy(InodeId directory, InodeId* set_on) const {
  Policy effective;
  *set_on = {};
  for (InodeId at = directory;; at = Get(at).parent) {
    const Policy& own = Get(at).policy;
    if (!own.empty() && !*set_on) *set_on = at;
    if (!effective.copies) effective.copies = own.copies;
    if (!effective.hot) effective.hot = own.hot;
    if (!effective.max_copies) effective.max_copies = own.max_copies;
    if (at == kRootInode) break;
  }
  if (!effective.copies) effective.copies = 1;
  if (!effective.hot) effective.hot = true;
  return effective;
}

std::string Oracle::PathOf(InodeId directory) const {
  std::string path;
  for (InodeId at = directory; at != kRootInode; at = Get(at).parent) {
    if (!Get(at).named) return "";
    for (const auto& [name, child] : Get(Get(at).parent).entries)
      if (child == at) path = "/" + name + path;
  }
  return path.empty() ? "/" : path;
}

}  // namespace pxfs::meta::model
