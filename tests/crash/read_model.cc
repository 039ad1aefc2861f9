// Model::Read: the tree that is there.
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include "base/unique_fd.h"
#include "tests/crash/operation.h"

namespace pxfs::test {
namespace {

Result<ModelInode> ReadInode(const std::string& path, const struct stat& st) {
  ModelInode inode;
  inode.mode = st.st_mode & 07777;
  if (S_ISDIR(st.st_mode)) {
    inode.type = 'd';
  } else if (S_ISLNK(st.st_mode)) {
    inode.type = 's';
    inode.content.resize(4'096);
    const ssize_t n = ::readlink(path.c_str(), inode.content.data(), inode.content.size());
    if (n < 0) return FailErrno(errno, path);
    inode.content.resize(static_cast<size_t>(n));
    return inode;
  } else {
    PXFS_ASSIGN(inode.content, ReadFile(path));
    if (inode.content.size() != static_cast<size_t>(st.st_size))
      return Fail(Code::kCorruption, path + ": holds " + std::to_string(inode.content.size()) +
                                         " bytes where stat says " + std::to_string(st.st_size));
  }
  char value[64];
  const ssize_t n = ::lgetxattr(path.c_str(), "user.crash", value, sizeof value);
  if (n < 0 && errno != ENODATA) return FailErrno(errno, path);
  if (n > 0) inode.xattr.assign(value, static_cast<size_t>(n));
  return inode;
}

}  // namespace

Result<Model> Model::Read(const std::string& directory) {
  Model model;
  std::map<ino_t, int> numbers;
  std::map<int, nlink_t> missing_links;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator(directory, error);
       it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    if (error) break;
    const std::string path = it->path();
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0)
      return FailErrno(errno, path + " (listed in its directory)");
    const auto [known, is_new] = numbers.try_emplace(st.st_ino, model.next_inode_);
    if (is_new) {
      PXFS_ASSIGN(model.inodes_[model.next_inode_], ReadInode(path, st));
      if (!S_ISDIR(st.st_mode)) missing_links[model.next_inode_] = st.st_nlink;
      ++model.next_inode_;
    }
    if (!S_ISDIR(st.st_mode)) --missing_links[known->second];
    model.names_[path.substr(directory.size() + 1)] = known->second;
  }
  if (error) return Fail(Code::kIo, directory + ": " + error.message());
  for (const auto& [path, number] : model.names_) {
    if (const auto links = missing_links.find(number);
        links != missing_links.end() && links->second != 0)
      return Fail(Code::kCorruption,
                  directory + "/" + path + ": its link count is not the number of its names");
  }
  return model;
}

}  // namespace pxfs::test
