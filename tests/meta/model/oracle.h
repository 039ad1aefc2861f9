// The oracle: a namespace in maps, written from POSIX and rename(2), not from meta/. It knows what
// each operation must answer and what the tree must look like afterwards.
//
// Its caller is one client with two sessions: `kMount`, which caches and so keeps orphans until it
// forgets them, and `kTool`, which does not.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "meta/service.h"

namespace pxfs::meta::model {

enum Session { kMount = 0, kTool = 1 };

// 0: success.
using Answer = Code;
inline constexpr Answer kSuccess{};

struct Node {
  InodeId id;
  uint32_t mode = 0, uid = 0, gid = 0;
  uint64_t rdev = 0, size_bytes = 0, generation = 0;
  std::string target;
  std::map<std::string, std::string> xattrs;
  // Where the model knows them: set by the client, and not by the clock since.
  std::optional<Timestamp> atime, mtime;

  // Directories.
  std::map<std::string, InodeId> entries;
  InodeId parent;
  Policy policy;
  // Everything else: (directory, name).
  std::set<std::pair<InodeId, std::string>> names;

  bool named = true;      // it is in the tree
  bool held = false;      // an orphan that kMount has not forgotten
  bool nameless = false;  // made without a name, and never had one
  std::set<Session> writers;

  bool is_directory() const { return S_ISDIR(mode); }
  bool is_regular() const { return S_ISREG(mode); }
};

class Oracle {
 public:
  Oracle();

  const Node& Get(InodeId id) const { return nodes_.at(id); }
  bool Exists(InodeId id) const { return nodes_.contains(id); }
  const std::map<InodeId, Node>& nodes() const { return nodes_; }
  uint32_t LinksOf(const Node& node) const;

  // Operations that make an inode: what they must answer, and what follows when they have made
  // `id`.
  Answer MayMake(InodeId parent, const std::string& name, const NewNode& node) const;
  void Make(InodeId id, InodeId parent, const std::string& name, const NewNode& node, uint32_t uid,
            uint32_t gid);
  void MakeNameless(InodeId id, InodeId parent, const NewNode& node, uint32_t uid, uint32_t gid);
  void Open(InodeId id, Session session);  // as part of creation

  Answer Lookup(InodeId parent, const std::string& name, InodeId* found) const;
  Answer Link(InodeId id, InodeId parent, const std::string& name);
  Answer Unlink(InodeId parent, const std::string& name, Removed* removed);
  Answer RemoveDirectory(InodeId parent, const std::string& name, Removed* removed);
  Answer Rename(InodeId parent, const std::string& name, InodeId new_parent,
                const std::string& new_name, uint32_t flags, Removed* removed);
  Answer SetAttr(InodeId id, const AttrChange& change);
  Answer SetXattr(InodeId id, const std::string& name, const std::string& value, int flags);
  Answer GetXattr(InodeId id, const std::string& name, std::string* value) const;
  Answer RemoveXattr(InodeId id, const std::string& name);
  Answer ReadLink(InodeId id, std::string* target) const;
  Answer OpenForWrite(InodeId id, Session session);
  Answer CommitContent(InodeId id, Session session, const ContentState& content);
  Answer CloseWrite(InodeId id, Session session, const ContentState& content);
  void Forget(InodeId id);
  Answer SetPolicy(InodeId directory, const Policy& policy);
  Policy EffectivePolicy(InodeId directory, InodeId* set_on) const;
  // "" for what has no name.
  std::string PathOf(InodeId directory) const;

 private:
  Node& At(InodeId id) { return nodes_.at(id); }
  Answer Enter(InodeId directory) const;
  InodeId Child(InodeId directory, const std::string& name) const;
  bool IsInside(InodeId directory, InodeId ancestor) const;  // or the same
  void Attach(InodeId parent, const std::string& name, InodeId child);
  // Takes a name away; the inode may end as an orphan, or altogether.
  void Detach(InodeId parent, const std::string& name, InodeId child);
  Removed Drop(InodeId parent, const std::string& name);
  void EndIfUnused(InodeId id);
  void Inherit(const Node& directory, Node& node) const;

  std::map<InodeId, Node> nodes_;
};

}  // namespace pxfs::meta::model
