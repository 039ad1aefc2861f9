#include "cli/ingest/source.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string_view>

#include "cli/command.h"
#include "volumes/volume.h"

namespace pxfs::cli {
namespace {

// What belongs to the place rather than to the file: labels of this host's policy, and of overlay
// and pxfs volumes.
bool StaysBehind(std::string_view name) {
  // Capabilities are for root to give, as set-id bits of others are.
  if (::geteuid() != 0 && name.starts_with("security.")) return true;
  return name == "security.selinux" || name.starts_with("trusted.overlay.") ||
         name.starts_with("trusted.pxfs.") || name.starts_with("user.pxfs.");
}

using ListCall = std::function<ssize_t(char*, size_t)>;
using GetCall = std::function<ssize_t(const char*, char*, size_t)>;

// Asks with a growing buffer; an empty string where there are no xattrs at all.
Result<std::string> Fetch(const std::function<ssize_t(char*, size_t)>& call) {
  std::string buffer(1024, '\0');
  for (;;) {
    const ssize_t size = call(buffer.data(), buffer.size());
    if (size >= 0) {
      buffer.resize(static_cast<size_t>(size));
      return buffer;
    }
    if (errno != ERANGE) return FailErrno(errno, "read extended attributes");
    if (buffer.size() > 2 * meta::kMaxXattrValueBytes)
      return Fail(Code::kTooBig, "extended attributes too large");
    buffer.resize(buffer.size() * 8);
  }
}

Result<std::map<std::string, std::string>> ReadXattrs(const ListCall& list, const GetCall& get) {
  std::map<std::string, std::string> xattrs;
  const auto names = Fetch(list);
  if (!names && names.error() == Code::kNotSupported) return xattrs;
  if (!names) return Fail(names.error());
  for (size_t begin = 0; begin < names->size();) {
    const std::string name = names->c_str() + begin;
    begin += name.size() + 1;
    if (StaysBehind(name)) continue;
    auto value = Fetch([&](char* buffer, size_t size) { return get(name.c_str(), buffer, size); });
    if (!value && value.error() == Code::kNoData) continue;  // removed since it was listed
    if (!value) return Fail(value.error().WithContext(name));
    xattrs.emplace(name, std::move(*value));
  }
  return xattrs;
}

// An ordinary user's copies are his, as cp -a leaves them: nobody else's files come into being, and
// no set-id bits of somebody else's.
void BecomeOwn(meta::TreeNode& node) {
  bool changed = node.uid != ::geteuid();
  node.uid = ::geteuid();
  const std::vector<uint32_t> groups = CallerContext().groups;
  if (node.gid != ::getegid() &&
      std::find(groups.begin(), groups.end(), node.gid) == groups.end()) {
    node.gid = ::getegid();
    changed = true;
  }
  if (changed && !S_ISDIR(node.mode)) node.mode &= ~static_cast<uint32_t>(S_ISUID | S_ISGID);
}

}  // namespace

meta::TreeNode NodeOf(const struct stat& st, const std::string& relative) {
  meta::TreeNode node;
  node.path = relative;
  node.mode = st.st_mode;
  node.uid = st.st_uid;
  node.gid = st.st_gid;
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) node.rdev = st.st_rdev;
  node.atime = volumes::ToTimestamp(st.st_atim);
  node.mtime = volumes::ToTimestamp(st.st_mtim);
  if (::geteuid() != 0) BecomeOwn(node);
  return node;
}

Result<meta::TreeNode> ReadNode(const std::string& path, const struct stat& st,
                                const std::string& relative) {
  meta::TreeNode node = NodeOf(st, relative);
  if (::geteuid() != 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
    return Fail(Code::kNotPermitted, "only root may make devices");
  if (S_ISLNK(st.st_mode)) {
    char target[meta::kMaxSymlinkBytes + 1];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    if (size < 0) return FailErrno(errno, "read the symlink");
    node.symlink_target.assign(target, static_cast<size_t>(size));
  }
  PXFS_ASSIGN(node.xattrs,
              ReadXattrs([&](char* buffer,
                             size_t size) { return ::llistxattr(path.c_str(), buffer, size); },
                         [&](const char* name, char* buffer, size_t size) {
                           return ::lgetxattr(path.c_str(), name, buffer, size);
                         }));
  return node;
}

Result<SourceFile> OpenSource(const std::string& path, const std::string& relative) {
  SourceFile file;
  // Not blocking: what was a file when it was listed may be a FIFO by now.
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  file.fd = UniqueFd(::open(path.c_str(), kFlags | O_NOATIME));
  if (!file.fd && errno == EPERM) file.fd = UniqueFd(::open(path.c_str(), kFlags));
  if (!file.fd) return FailErrno(errno, "open");
  if (::fstat(file.fd.get(), &file.st) != 0) return FailErrno(errno, "stat");
  if (!S_ISREG(file.st.st_mode)) return Fail(Code::kStale, "no regular file any more");
  file.node = NodeOf(file.st, relative);
  const int fd = file.fd.get();
  PXFS_ASSIGN(file.node.xattrs,
              ReadXattrs([&](char* buffer, size_t size) { return ::flistxattr(fd, buffer, size); },
                         [&](const char* name, char* buffer, size_t size) {
                           return ::fgetxattr(fd, name, buffer, size);
                         }));
  return file;
}

}  // namespace pxfs::cli
