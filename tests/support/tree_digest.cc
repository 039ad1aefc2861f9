#include "tests/support/tree_digest.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "base/unique_fd.h"

namespace pxfs::test {
namespace {

struct FtsCloser {
  void operator()(FTS* fts) const { ::fts_close(fts); }
};

Result<std::string> Xattrs(const std::string& path) {
  std::vector<char> names(65536), value(65536);
  const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0) {
    if (errno == ENOTSUP) return std::string();
    return FailErrno(errno, path);
  }
  std::map<std::string, std::string> sorted;
  for (const char* name = names.data(); name < names.data() + size; name += strlen(name) + 1) {
    const ssize_t n = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    if (n < 0) return FailErrno(errno, path + ": " + name);
    sorted[name] = ToString(Hash(std::string_view(value.data(), static_cast<size_t>(n))));
  }
  std::string text;
  for (const auto& [name, hash] : sorted) text += " " + name + "=" + hash;
  return text;
}

// Data extents as "offset+size", and the hash of everything.
Result<std::string> Content(const std::string& path, off_t size) {
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW));
  std::string text = " data";
  for (off_t at = 0; at < size;) {
    const off_t begin = ::lseek(fd.get(), at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;
    const off_t end = begin < 0 ? -1 : ::lseek(fd.get(), begin, SEEK_HOLE);
    if (end < 0) return FailErrno(errno, path + ": look for holes");
    text += " " + std::to_string(begin) + "+" + std::to_string(end - begin);
    at = end;
  }
  Hasher hasher;
  std::vector<char> buffer(1 << 20);
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(fd.get(), buffer.data(), buffer.size(), at);
    if (n < 0) return FailErrno(errno, path);
    if (n == 0) break;
    hasher.Update(buffer.data(), static_cast<size_t>(n));
    at += n;
  }
  return text + " " + ToString(hasher.Digest());
}

Result<std::string> Describe(const std::string& path, const struct stat& st,
                             const DigestOptions& options) {
  char head[160];
  std::snprintf(head, sizeof head, "%06o", st.st_mode);
  std::string text = head;
  if (options.owners) text += " " + std::to_string(st.st_uid) + ":" + std::to_string(st.st_gid);
  if (options.times) {
    std::snprintf(head, sizeof head, " mtime %ld.%09ld", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    text += head;
  }
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
    text +=
        " device " + std::to_string(major(st.st_rdev)) + "," + std::to_string(minor(st.st_rdev));
  if (S_ISLNK(st.st_mode)) {
    char target[PATH_MAX];
    const ssize_t n = ::readlink(path.c_str(), target, sizeof target);
    if (n < 0) return FailErrno(errno, path);
    text += " -> " + std::string(target, static_cast<size_t>(n));
  }
  if (options.xattrs) {
    PXFS_ASSIGN(const std::string xattrs, Xattrs(path));
    text += xattrs;
  }
  if (!S_ISREG(st.st_mode)) return text;
  text += " size " + std::to_string(st.st_size);
  if (options.content) {
    PXFS_ASSIGN(const std::string content, Content(path, st.st_size));
    text += content;
  }
  return text;
}

int ByName(const FTSENT** a, const FTSENT** b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

}  // namespace

Result<std::map<std::string, std::string>> DigestTree(const std::string& directory,
                                                      const DigestOptions& options) {
  std::map<std::string, std::string> digest;
  std::map<std::pair<dev_t, ino_t>, std::string> first_names;
  std::string root = directory;
  char* const paths[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, FtsCloser> fts(::fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, ByName));
  if (!fts) return FailErrno(errno, directory);
  while (true) {
    errno = 0;
    const FTSENT* entry = ::fts_read(fts.get());
    if (!entry) break;
    if (entry->fts_info == FTS_DP) continue;
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR)
      return FailErrno(entry->fts_errno, entry->fts_path);
    const std::string path = entry->fts_path;
    const std::string relative =
        path.size() > directory.size() ? path.substr(directory.size() + 1) : "";
    const struct stat& st = *entry->fts_statp;
    PXFS_ASSIGN(std::string text, Describe(path, st, options));
    if (options.links && !S_ISDIR(st.st_mode)) {
      const auto [first, is_new] = first_names.try_emplace({st.st_dev, st.st_ino}, relative);
      if (!is_new) text += " same as " + first->second;
    }
    digest[relative] = std::move(text);
  }
  if (errno != 0) return FailErrno(errno, directory);
  return digest;
}

}  // namespace pxfs::test
