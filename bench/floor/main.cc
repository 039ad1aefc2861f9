// fuse_floor MOUNTPOINT: the least that a FUSE file system can be. Names and attributes in memory,
// cached by the kernel for an hour, data thrown away, nothing stored, no locks. What it cannot do
// faster, no FUSE file system can: it is the line that costs of the kernel's own FUSE code are read
// from. Stays in the foreground until it is unmounted.
#define FUSE_USE_VERSION 35
#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>

namespace {

constexpr double kForever = 3600;  // seconds

struct Node {
  struct stat attr = {};
  std::unordered_map<std::string, fuse_ino_t> children;
};

// Inode n is nodes[n - 1]; numbers are not used again, since a run is short.
class Tree {
 public:
  Tree() { Add(S_IFDIR | 0755); }

  Node& At(fuse_ino_t inode) { return nodes_[inode - 1]; }

  Node& Add(mode_t mode) {
    Node& node = nodes_.emplace_back();
    node.attr.st_ino = nodes_.size();
    node.attr.st_mode = mode;
    node.attr.st_nlink = S_ISDIR(mode) ? 2 : 1;
    return node;
  }

  Node* Find(fuse_ino_t parent, const char* name) {
    const auto& children = At(parent).children;
    const auto found = children.find(name);
    return found == children.end() ? nullptr : &At(found->second);
  }

  Node& Make(fuse_ino_t parent, const char* name, mode_t mode) {
    Node& node = Add(mode);
    At(parent).children[name] = node.attr.st_ino;
    return node;
  }

 private:
  std::deque<Node> nodes_;
};

Tree& TreeOf(fuse_req_t request) { return *static_cast<Tree*>(fuse_req_userdata(request)); }

fuse_entry_param EntryOf(const Node* node) {
  fuse_entry_param entry = {};
  if (node) entry.ino = node->attr.st_ino, entry.attr = node->attr;
  entry.attr_timeout = entry.entry_timeout = kForever;
  return entry;
}

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const fuse_entry_param entry = EntryOf(TreeOf(request).Find(parent, name));
  fuse_reply_entry(request, &entry);
}

void GetAttr(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  fuse_reply_attr(request, &TreeOf(request).At(inode).attr, kForever);
}

void SetAttr(fuse_req_t request, fuse_ino_t inode, struct stat* attr, int which, fuse_file_info*) {
  struct stat& own = TreeOf(request).At(inode).attr;
  if (which & FUSE_SET_ATTR_SIZE) own.st_size = attr->st_size;
  fuse_reply_attr(request, &own, kForever);
}

void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  const fuse_entry_param entry = EntryOf(&TreeOf(request).Make(parent, name, S_IFDIR | mode));
  fuse_reply_entry(request, &entry);
}

void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* file) {
  file->noflush = 1;
  const fuse_entry_param entry = EntryOf(&TreeOf(request).Make(parent, name, S_IFREG | mode));
  fuse_reply_create(request, &entry, file);
}

void Open(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  file->noflush = 1;
  fuse_reply_open(request, file);
}

void Write(fuse_req_t request, fuse_ino_t inode, const char*, size_t size, off_t offset,
           fuse_file_info*) {
  off_t& end = TreeOf(request).At(inode).attr.st_size;
  end = std::max(end, offset + static_cast<off_t>(size));
  fuse_reply_write(request, size);
}

void Release(fuse_req_t request, fuse_ino_t, fuse_file_info*) { fuse_reply_err(request, 0); }

void Remove(fuse_req_t request, fuse_ino_t parent, const char* name) {
  fuse_reply_err(request, TreeOf(request).At(parent).children.erase(name) ? 0 : ENOENT);
}

void ReadDirectory(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
                   fuse_file_info*) {
  std::string page(size, '\0');
  size_t used = 0;
  off_t at = 0;
  for (const auto& [name, child] : TreeOf(request).At(inode).children) {
    if (at++ < offset) continue;
    const size_t needed = fuse_add_direntry(request, page.data() + used, size - used, name.c_str(),
                                            &TreeOf(request).At(child).attr, at);
    if (used + needed > size) break;
    used += needed;
  }
  fuse_reply_buf(request, page.data(), used);
}

fuse_lowlevel_ops Operations() {
  fuse_lowlevel_ops ops = {};
  ops.lookup = Lookup, ops.getattr = GetAttr, ops.setattr = SetAttr, ops.mkdir = MakeDirectory;
  ops.create = Create, ops.open = Open, ops.write = Write, ops.release = Release;
  ops.unlink = Remove, ops.rmdir = Remove, ops.readdir = ReadDirectory;
  return ops;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  char* options[] = {argv[0], const_cast<char*>("-odefault_permissions,allow_other,fsname=floor")};
  fuse_args args = FUSE_ARGS_INIT(2, options);
  Tree tree;
  const fuse_lowlevel_ops ops = Operations();
  fuse_session* session = fuse_session_new(&args, &ops, sizeof ops, &tree);
  if (!session || fuse_set_signal_handlers(session) != 0) return 1;
  if (fuse_session_mount(session, argv[1]) != 0) return 1;
  const int status = fuse_session_loop(session);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  fuse_opt_free_args(&args);
  return status < 0 ? 1 : 0;
}
