#include "tests/meta/model/driver.h"

#include <linux/fs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <sstream>

#include "tests/meta/model/driver_expect.h"

namespace pxfs::meta::model {
namespace {

constexpr uint32_t kDistinctNames = 12;

uint32_t PickMode(uint32_t number) {
  static constexpr uint32_t kModes[] = {0644, 0755, 0, 07777, 02775, 01777, 04711, 02644};
  return kModes[number % std::size(kModes)];
}

const std::string kXattrNames[] = {"user.a", "user.b", "trusted.c", "security.d"};

}  // namespace

Driver::Driver(Shape shape, const std::string& directory) : shape_(shape) {
  deployment_ = Must(Deployment::Create(shape, directory), "create the store");
  VolumeInfo volume;
  volume.name = "v1";
  volume.path = "/v1";
  volume_ = Must(service().AddVolume(volume), "add a volume").id;
  Must(service().ReportVolume({volume_, true, false, 1ull << 40, 1ull << 39, ""}), "report");
  sessions_[kMount] = Must(service().OpenSession({"mount", {}, &listener_}), "open a session");
  sessions_[kTool] = Must(service().OpenSession({"tool", {}, nullptr}), "open a session");
}

Driver::~Driver() = default;

void Driver::Run(const Operation& operation) {
  std::ostringstream text;
  text << operation;
  now_ = text.str();
  Dispatch(operation);
}

void Driver::Dispatch(const Operation& operation) {
  using O = Operation;
  switch (operation.kind) {
    case O::kLookup:
      return Lookup(operation);
    case O::kMakeDirectory:
    case O::kMakeSpecial:
    case O::kSymlink:
      return MakeNode(operation);
    case O::kCreate:
      return Create(operation);
    case O::kCreateNameless:
      return CreateNameless(operation);
    case O::kLink:
      return Link(operation);
    case O::kUnlink:
    case O::kRemoveDirectory:
      return Remove(operation);
    case O::kRename:
      return Rename(operation);
    case O::kSetAttr:
      return SetAttr(operation);
    case O::kTruncate:
      return Truncate(operation);
    case O::kSetXattr:
    case O::kGetXattr:
    case O::kRemoveXattr:
      return Xattr(operation);
    case O::kReadLink:
      return ReadLink(operation);
    case O::kOpenForWrite:
      return OpenForWrite(operation);
    case O::kCommitContent:
    case O::kCloseWrite:
      return Write(operation);
    case O::kForget:
      return Forget(operation);
    case O::kScan:
      return StepScan(operation);
    case O::kSetPolicy:
      return SetPolicy(operation);
    case O::kGetPolicy:
      return GetPolicy(operation);
    case O::kCompareTree:
      return CompareTree();
    case O::kReopen:
      return Reopen();
  }
}

CallContext Driver::Context(Session session, uint32_t number) const {
  CallContext ctx;
  ctx.session = sessions_[session];
  ctx.uid = number % 3;
  ctx.gid = number % 5;
  return ctx;
}

InodeId Driver::PickAny(uint32_t number) const {
  auto it = oracle_.nodes().begin();
  std::advance(it, number % oracle_.nodes().size());
  return it->first;
}

InodeId Driver::PickParent(uint32_t number) const {
  if (number % 16 == 15) return PickAny(number / 16);
  std::vector<InodeId> directories;
  for (const auto& [id, node] : oracle_.nodes())
    if (node.is_directory()) directories.push_back(id);
  return directories[number / 16 % directories.size()];
}

// 0: there is none.
InodeId Driver::PickNonDirectory(uint32_t number) const {
  std::vector<InodeId> others;
  for (const auto& [id, node] : oracle_.nodes())
    if (!node.is_directory()) others.push_back(id);
  return others.empty() ? InodeId() : others[number % others.size()];
}

std::string Driver::PickName(InodeId parent, uint32_t number) const {
  // A name that is there, every other time.
  const auto& entries = oracle_.Get(parent).entries;
  if (number % 2 == 1 && !entries.empty()) {
    auto it = entries.begin();
    std::advance(it, number / 2 % entries.size());
    return it->first;
  }
  const uint32_t kind = number / 2 % 32;
  if (kind == 31) return std::string(255, 'x');
  if (kind == 30) return "\xff \n";
  // On something that is no directory the kernel would not get as far as the name.
  if (kind == 29 && oracle_.Get(parent).is_directory() && oracle_.Get(parent).named)
    return std::string(256, 'x');
  return "n" + std::to_string(kind % kDistinctNames);
}

ContentState Driver::PickContent(const Operation& operation) const {
  ContentState content;
  content.size_bytes = operation.c;
  content.blocks = (operation.c + 511) / 512;
  content.atime = {operation.c, operation.d};
  content.mtime = {operation.d, operation.c};
  return content;
}

void Driver::CheckNewId(InodeId id) {
  if (id <= highest_) Differ("inode number " + std::to_string(id.value) + " is used again");
  highest_ = id;
}

// The name comes or goes: a listing may show it or not.
void Driver::Touch(InodeId directory, const std::string& name) {
  if (!scan_ || scan_->directory != directory) return;
  scan_->lasting.erase(name);
  scan_->ever.insert(name);
}

void Driver::Lookup(const Operation& o) {
  const InodeId parent = PickParent(o.a);
  const std::string name = PickName(parent, o.b);
  InodeId found;
  const Answer expected = oracle_.Lookup(parent, name, &found);
  const auto attr = service().Lookup(Context(kMount), parent, name);
  Expect(expected, attr, "lookup");
  if (attr) CompareNode(oracle_.Get(found), *attr);
}

void Driver::MakeNode(const Operation& o) {
  static constexpr uint32_t kSpecial[] = {S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFREG};
  const InodeId parent = PickParent(o.a);
  const std::string name = PickName(parent, o.b);
  NewNode node;
  node.umask = o.d % 2 ? 022 : 0;
  if (o.kind == Operation::kMakeDirectory) {
    node.mode = S_IFDIR | PickMode(o.c);
  } else if (o.kind == Operation::kSymlink) {
    node.mode = S_IFLNK | 0777;
    node.symlink_target = std::string(1 + o.c % 4095, 't');
  } else {
    node.mode = kSpecial[o.d % std::size(kSpecial)] | PickMode(o.c);
    node.rdev = o.c;
  }
  const CallContext ctx = Context(kMount, o.d);
  const Answer expected = oracle_.MayMake(parent, name, node);
  const auto made = service().MakeNode(ctx, parent, name, node);
  Expect(expected, made, "make node");
  if (!made) return;
  CheckNewId(made->inode);
  oracle_.Make(made->inode, parent, name, node, ctx.uid, ctx.gid);
  Touch(parent, name);
  CompareNode(oracle_.Get(made->inode), *made);
}

void Driver::Create(const Operation& o) {
  const InodeId parent = PickParent(o.a);
  const std::string name = PickName(parent, o.b);
  const Session session = o.d % 4 == 0 ? kTool : kMount;
  const NewNode node{S_IFREG | PickMode(o.c), o.d % 2 ? 027u : 0u};
  const CallContext ctx = Context(session, o.d);
  const Answer expected = oracle_.MayMake(parent, name, node);
  const auto made = service().Create(ctx, parent, name, node);
  Expect(expected, made, "create");
  if (!made) return;
  const InodeId id = made->attr.inode;
  CheckNewId(id);
  oracle_.Make(id, parent, name, node, ctx.uid, ctx.gid);
  oracle_.Open(id, session);
  Touch(parent, name);
  CompareNode(oracle_.Get(id), made->attr);
}

void Driver::CreateNameless(const Operation& o) {
  const InodeId parent = PickParent(o.a);
  const NewNode node{S_IFREG | PickMode(o.c)};
  const CallContext ctx = Context(kMount, o.d);
  // Any name that is not there asks the same of the directory.
  const Answer expected = oracle_.MayMake(parent, "no such name", node);
  const auto made = service().Create(ctx, parent, "", node);
  Expect(expected, made, "create without a name");
  if (!made) return;
  CheckNewId(made->attr.inode);
  oracle_.MakeNameless(made->attr.inode, parent, node, ctx.uid, ctx.gid);
  oracle_.Open(made->attr.inode, kMount);
  CompareNode(oracle_.Get(made->attr.inode), made->attr);
}

void Driver::Link(const Operation& o) {
  InodeId id = PickNonDirectory(o.c);
  if (!id || o.d % 16 == 15) id = PickAny(o.c);
  const InodeId parent = PickParent(o.a);
  const std::string name = PickName(parent, o.b);
  const Answer expected = oracle_.Link(id, parent, name);
  const auto linked = service().Link(Context(kMount), id, parent, name);
  Expect(expected, linked, "link");
  if (!linked) return;
  Touch(parent, name);
  CompareNode(oracle_.Get(id), *linked);
}

void Driver::Remove(const Operation& o) {
  const InodeId parent = PickParent(o.a);
  const std::string name = PickName(parent, o.b | 1);
  const bool directory = o.kind == Operation::kRemoveDirectory;
  Removed expected_removed;
  const Answer expected = directory ? oracle_.RemoveDirectory(parent, name, &expected_removed)
                                    : oracle_.Unlink(parent, name, &expected_removed);
  const auto removed = directory ? service().RemoveDirectory(Context(kMount), parent, name)
                                 : service().Unlink(Context(kMount), parent, name);
  Expect(expected, removed, "remove");
  if (!removed) return;
  Touch(parent, name);
  ExpectEqual(expected_removed.inode.value, removed->inode.value, "inode removed");
  ExpectEqual(expected_removed.orphaned, removed->orphaned, "orphaned");
}

void Driver::Rename(const Operation& o) {
  static constexpr uint32_t kFlags[] = {0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        RENAME_NOREPLACE,
                                        RENAME_EXCHANGE,
                                        RENAME_EXCHANGE,
                                        RENAME_NOREPLACE | RENAME_EXCHANGE};
  const InodeId parent = PickParent(o.a), new_parent = PickParent(o.c);
  std::string name = PickName(parent, o.b | 1), new_name = PickName(new_parent, o.d);
  // As in PickName: a directory on either side comes before the names.
  for (const InodeId directory : {parent, new_parent}) {
    if (oracle_.Get(directory).is_directory() && oracle_.Get(directory).named) continue;
    for (std::string* n : {&name, &new_name}) n->resize(std::min<size_t>(n->size(), 255));
  }
  const uint32_t flags = kFlags[(o.a + o.d) % std::size(kFlags)];
  Removed expected_removed;
  const Answer expected =
      oracle_.Rename(parent, name, new_parent, new_name, flags, &expected_removed);
  const auto removed = service().Rename(Context(kMount), parent, name, new_parent, new_name, flags);
  Expect(expected, removed, "rename");
  if (!removed) return;
  Touch(parent, name);
  Touch(new_parent, new_name);
  ExpectEqual(expected_removed.inode.value, removed->inode.value, "inode replaced");
  ExpectEqual(expected_removed.orphaned, removed->orphaned, "orphaned");
}

void Driver::SetAttr(const Operation& o) {
  const InodeId id = PickAny(o.a);
  AttrChange change;
  if (o.b & 1) change.mode = PickMode(o.c);
  if (o.b & 2) change.uid = o.c;
  if (o.b & 4) change.gid = o.d;
  if (o.b & 8) change.atime = Timestamp{-int64_t{o.c}, o.d};
  if (o.b & 16) change.mtime = Timestamp{o.d, 999'999'999};
  if (o.b & 32) change.mtime_now = !change.mtime;
  if (o.b & 64) change.clear_suid = true;
  const Answer expected = oracle_.SetAttr(id, change);
  const auto changed = service().SetAttr(Context(kMount), id, change);
  Expect(expected, changed, "setattr");
  if (changed) CompareNode(oracle_.Get(id), *changed);
}

void Driver::Truncate(const Operation& o) {
  const InodeId id = PickNonDirectory(o.a);
  if (!id || !oracle_.Get(id).is_regular()) return;
  AttrChange change;
  change.content = PickContent(o);
  const Answer expected = oracle_.SetAttr(id, change);
  const auto changed = service().SetAttr(Context(kMount), id, change);
  Expect(expected, changed, "truncate");
  CompareNode(oracle_.Get(id), *changed);
}

void Driver::Xattr(const Operation& o) {
  static constexpr int kFlags[] = {0, 0, XATTR_CREATE, XATTR_REPLACE};
  const InodeId id = PickAny(o.a);
  const std::string& name = kXattrNames[o.b % std::size(kXattrNames)];
  const std::string value(o.c % 300, static_cast<char>(o.d));
  if (o.kind == Operation::kSetXattr) {
    const int flags = kFlags[o.d % std::size(kFlags)];
    Expect(oracle_.SetXattr(id, name, value, flags),
           service().SetXattr(Context(kMount), id, name, value, flags), "setxattr");
  } else if (o.kind == Operation::kRemoveXattr) {
    Expect(oracle_.RemoveXattr(id, name), service().RemoveXattr(Context(kMount), id, name),
           "removexattr");
  } else {
    std::string expected_value;
    const Answer expected = oracle_.GetXattr(id, name, &expected_value);
    const auto got = service().GetXattr(Context(kMount), id, name);
    Expect(expected, got, "getxattr");
    if (got) ExpectEqual(expected_value, *got, "value");
  }
}

void Driver::ReadLink(const Operation& o) {
  const InodeId id = PickAny(o.a);
  std::string expected_target;
  const Answer expected = oracle_.ReadLink(id, &expected_target);
  const auto target = service().ReadLink(Context(kMount), id);
  Expect(expected, target, "readlink");
  if (target) ExpectEqual(expected_target, *target, "target");
}

void Driver::OpenForWrite(const Operation& o) {
  InodeId id = PickNonDirectory(o.a);
  if (!id || o.b % 8 == 7) id = PickAny(o.a);
  const Session session = o.d % 3 == 0 ? kTool : kMount;
  // Only a session that can refer to a file without a name opens it.
  if (!oracle_.Get(id).named && session == kTool) return;
  const Answer expected = oracle_.OpenForWrite(id, session);
  const auto opened = service().OpenForWrite(Context(session), id, {});
  Expect(expected, opened, "open for write");
  if (opened) CompareNode(oracle_.Get(id), opened->attr);
}

void Driver::Write(const Operation& o) {
  // Mostly what is open.
  std::vector<std::pair<InodeId, Session>> open;
  for (const auto& [id, node] : oracle_.nodes())
    for (const Session session : node.writers) open.emplace_back(id, session);
  InodeId id = PickAny(o.a);
  Session session = o.b % 2 ? kTool : kMount;
  if (!open.empty() && o.b % 8 != 7) std::tie(id, session) = open[o.a % open.size()];
  const ContentState content = PickContent(o);
  if (o.kind == Operation::kCommitContent) {
    Expect(oracle_.CommitContent(id, session, content),
           service().CommitContent(Context(session), id, content), "commit content");
  } else {
    Expect(oracle_.CloseWrite(id, session, content),
           service().CloseWrite(Context(session), id, content), "close write");
  }
}

void Driver::Forget(const Operation& o) {
  std::vector<InodeId> orphans;
  for (const auto& [id, node] : oracle_.nodes())
    if (node.held && !node.writers.contains(kMount)) orphans.push_back(id);
  if (orphans.empty()) return;
  const InodeId id = orphans[o.a % orphans.size()];
  if (scan_ && scan_->directory == id) scan_.reset();
  oracle_.Forget(id);
  ctimes_.erase(id);
  Expect(kSuccess, service().Forget(sessions_[kMount], {&id, 1}), "forget");
}

void Driver::StepScan(const Operation& o) {
  if (!scan_) {
    const InodeId directory = PickParent(o.a);
    if (!oracle_.Get(directory).is_directory()) {
      Expect(Code::kNotDirectory, service().ReadDirectory(Context(kMount), directory, 0, 1, false),
             "read directory");
      return;
    }
    scan_.emplace();
    scan_->directory = directory;
    for (const auto& [name, child] : oracle_.Get(directory).entries) {
      scan_->lasting.insert(name);
      scan_->ever.insert(name);
    }
  }
  const uint32_t limit = 1 + o.b % 4;
  const DirPage page = Must(
      service().ReadDirectory(Context(kMount), scan_->directory, scan_->cookie, limit, o.c % 2),
      "read directory");
  if (page.entries.size() > limit) Differ("a page of more entries than asked for");
  for (const DirEntry& entry : page.entries) scan_->seen.insert(entry.name);
  if (!page.entries.empty()) scan_->cookie = page.entries.back().cookie;
  if (page.end) EndScan();
  if (!page.end && page.entries.empty()) Differ("an empty page that is not the last");
}

void Driver::SetPolicy(const Operation& o) {
  const InodeId id = PickParent(o.a);
  if (!oracle_.Get(id).named) return;
  Policy policy;
  if (o.b & 1) policy.copies = 1;
  if (o.b & 2) policy.hot = o.c % 2 == 0;
  if (o.b & 4) policy.max_copies = 1 + o.c % 5;
  Expect(oracle_.SetPolicy(id, policy), service().SetPolicy(Context(kMount), id, policy),
         "set policy");
}

void Driver::GetPolicy(const Operation& o) {
  const InodeId id = PickParent(o.a);
  if (!oracle_.Get(id).is_directory() || !oracle_.Get(id).named) return;
  InodeId set_on;
  const Policy expected = oracle_.EffectivePolicy(id, &set_on);
  const PolicyView view = Must(service().GetPolicy(id), "get policy");
  ExpectEqual(set_on.value, view.set_on.value, "set_on");
  ExpectEqual(*expected.copies, view.effective.copies.value_or(0), "copies");
  ExpectEqual(*expected.hot, view.effective.hot.value_or(false), "hot");
  if (expected.max_copies)
    ExpectEqual(*expected.max_copies, view.effective.max_copies.value_or(0), "max-copies");
}

void Driver::Reopen() {
  Must(deployment_->Reopen(), "reopen");
  // A new process begins by taking its sessions over; a remote client does so by itself.
  if (shape_ != Shape::kRemote) {
    Must(service().OpenSession({"mount", sessions_[kMount], &listener_}), "resume");
    Must(service().OpenSession({"tool", sessions_[kTool], nullptr}), "resume");
  }
  Must(service().ReportVolume({volume_, true, false, 1ull << 40, 1ull << 39, ""}), "report");
  CompareTree();
}

}  // namespace pxfs::meta::model
