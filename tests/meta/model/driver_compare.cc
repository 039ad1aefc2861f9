#include "meta/check.h"
#include "meta/leveldb_engine.h"
#include "tests/meta/model/driver_expect.h"

namespace pxfs::meta::model {

void Driver::Differ(const std::string& what) { throw Difference(now_ + ": " + what); }

void Driver::CompareNode(const Node& node, const Attr& attr) {
  const std::string inode = "inode " + std::to_string(node.id.value) + " ";
  ExpectEqual(node.id.value, attr.inode.value, inode + "number");
  ExpectEqual(node.mode, attr.mode, inode + "mode");
  ExpectEqual(oracle_.LinksOf(node), attr.nlink, inode + "nlink");
  ExpectEqual(node.uid, attr.uid, inode + "uid");
  ExpectEqual(node.gid, attr.gid, inode + "gid");
  ExpectEqual(node.rdev, attr.rdev, inode + "rdev");
  if (!node.is_directory()) ExpectEqual(node.size_bytes, attr.size_bytes, inode + "size");
  if (node.is_regular()) ExpectEqual(node.generation, attr.generation, inode + "generation");
  ExpectEqual(!node.writers.empty(), attr.open_for_write, inode + "open for write");
  if (node.atime && *node.atime != attr.atime) Differ(inode + "atime");
  if (node.mtime && *node.mtime != attr.mtime) Differ(inode + "mtime");
  Timestamp& ctime = ctimes_[node.id];
  if (attr.ctime < ctime) Differ(inode + "ctime went back");
  ctime = attr.ctime;
}

void Driver::CompareDetails(const Node& node) {
  const auto ctx = Context(kMount);
  const auto names = Must(service().ListXattrs(ctx, node.id), "list xattrs");
  ExpectEqual(node.xattrs.size(), names.size(), "number of xattrs");
  for (const std::string& name : names) {
    const auto expected = node.xattrs.find(name);
    if (expected == node.xattrs.end()) Differ("an xattr that is not there: " + name);
    ExpectEqual(expected->second, Must(service().GetXattr(ctx, node.id, name), "getxattr"), name);
  }
  if (S_ISLNK(node.mode))
    ExpectEqual(node.target, Must(service().ReadLink(ctx, node.id), "readlink"), "target");
  if (node.is_directory() && node.named) {
    ExpectEqual(oracle_.PathOf(node.id), Must(service().PathOf(node.id), "path"), "path");
    const Policy own = Must(service().GetPolicy(node.id), "get policy").own;
    if (own.copies != node.policy.copies || own.hot != node.policy.hot ||
        own.max_copies != node.policy.max_copies)
      Differ("policy of " + oracle_.PathOf(node.id));
  } else if (node.named) {
    // Any of its names will do.
    const std::string path = Must(service().PathOf(node.id), "path");
    const auto found = service().Resolve(ctx, kRootInode, path, false);
    if (!found || found->inode != node.id) Differ("path " + path + " leads elsewhere");
  } else {
    Expect(Code::kNoData, service().PathOf(node.id), "path of an orphan");
  }
}

void Driver::CompareDirectory(InodeId directory, uint32_t page_size) {
  const Node& node = oracle_.Get(directory);
  std::map<std::string, InodeId> seen;
  uint64_t cookie = 0;
  for (bool end = false; !end;) {
    const DirPage page = Must(
        service().ReadDirectory(Context(kMount), directory, cookie, page_size, true), "readdir");
    if (node.named) ExpectEqual(node.parent.value, page.parent.value, "parent of a directory");
    for (const DirEntry& entry : page.entries) {
      if (!seen.emplace(entry.name, entry.attr.inode).second) Differ("listed twice: " + entry.name);
      const auto expected = node.entries.find(entry.name);
      if (expected == node.entries.end() || expected->second != entry.attr.inode)
        Differ("listed, but not there: " + entry.name);
      CompareNode(oracle_.Get(entry.attr.inode), entry.attr);
      cookie = entry.cookie;
    }
    end = page.end;
  }
  ExpectEqual(node.entries.size(), seen.size(), "entries of " + oracle_.PathOf(directory));
}

void Driver::CompareTree() {
  uint32_t page_size = 1;
  for (const auto& [id, node] : oracle_.nodes()) {
    CompareNode(node, Must(service().GetAttr(Context(kMount), id), "getattr"));
    CompareDetails(node);
    if (node.is_directory()) CompareDirectory(id, page_size);
    page_size = page_size % 7 + 1;
  }
}

// Every entry that stayed was shown once, and nothing that was never there.
void Driver::EndScan() {
  for (const std::string& name : scan_->lasting)
    ExpectEqual(size_t{1}, scan_->seen.count(name), "times that " + name + " was listed");
  for (const std::string& name : scan_->seen)
    if (!scan_->ever.contains(name)) Differ("listed, but never there: " + name);
  scan_.reset();
}

void Driver::CompareStatistics() {
  // What was given up is gone once its objects are.
  for (;;) {
    const auto items =
        Must(service().WaitReclaimable(1000, std::chrono::milliseconds(0)), "reclaim");
    if (items.empty()) break;
    for (const ReclaimItem& item : items)
      if (oracle_.Exists(item.inode)) Differ("a file in use is reclaimed");
    Must(service().Reclaimed(items), "reclaimed");
  }
  uint64_t orphans = 0, open = 0;
  for (const auto& [id, node] : oracle_.nodes()) {
    if (!node.named) ++orphans;
    open += node.writers.size();
  }
  const Statistics statistics = Must(service().GetStatistics(), "statistics");
  ExpectEqual(oracle_.nodes().size(), statistics.inodes, "inodes");
  ExpectEqual(orphans, statistics.orphans, "orphans");
  ExpectEqual(open, statistics.open_for_write, "files open for writing, by session");
  ExpectEqual(uint64_t{0}, statistics.reclaim_queue, "reclaim queue");
}

void Driver::Finish() {
  now_ = "at the end";
  CompareTree();
  CompareStatistics();
  Reopen();
  CompareStatistics();
  const std::string store = deployment_->store_directory();
  deployment_->Stop();
  auto engine = Must(OpenLevelDb(store + "/leveldb", /*create=*/false), "open the engine");
  for (const std::string& problem :
       Must(CheckStore(*engine, {NameHashOf(shape_)}), "check the store"))
    Differ("the checker says: " + problem);
}

}  // namespace pxfs::meta::model
