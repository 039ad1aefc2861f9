// Probe: performs operations in its working directory and writes down what came of each, as lines
// of text.
//
// The same scenario, run by a Probe on a native directory and by another on a mount, must give the
// same lines. So a line holds only what two file systems must agree on: return values, errno,
// attributes without the sizes of directories, inodes by the order in which they were first seen,
// times by how they changed.
//
// A failing operation is a result like any other. Descriptors that a scenario leaves open are
// closed with the process.
#pragma once

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pxfs::test {

// "ENOENT" and so on.
std::string ErrnoName(int error_number);
// "'bytes'", shortened in the middle, with what is not printable as \xHH.
std::string Quote(std::string_view bytes);

class Probe {
 public:
  // Writes one line as it stands.
  void Note(const std::string& line) { lines_.push_back(line); }
  // Runs `call`, which returns -1 and sets errno on failure, and notes "what = result". Returns the
  // result.
  template <typename Call>
  long Do(const std::string& what, Call call) {
    errno = 0;
    const long result = static_cast<long>(call());
    NoteResult(what, result, errno);
    return result;
  }
  // The same where the value itself (a descriptor, an address) must not be compared: notes ok or
  // the error.
  template <typename Call>
  long Try(const std::string& what, Call call) {
    errno = 0;
    const long result = static_cast<long>(call());
    NoteResult(what, result < 0 ? result : 0, errno);
    return result;
  }

  const std::vector<std::string>& lines() const { return lines_; }

  // ---- files ----
  int Open(const std::string& path, int flags, mode_t mode = 0644);
  void Close(int fd);
  // Creates (or truncates) a file with these bytes.
  void Make(const std::string& path, std::string_view content = "", mode_t mode = 0644);
  void Write(int fd, std::string_view data);
  void Pwrite(int fd, std::string_view data, off_t offset);
  void Read(int fd, size_t size);  // notes the bytes
  void Pread(int fd, size_t size, off_t offset);
  void Content(
      const std::string& path);  // notes all bytes: shown if few, else their number and hash
  void Seek(int fd, off_t offset, int whence);
  void Truncate(const std::string& path, off_t size);
  void Ftruncate(int fd, off_t size);

  // ---- names ----
  void Mkdir(const std::string& path, mode_t mode = 0755);
  void Rmdir(const std::string& path);
  void Unlink(const std::string& path);
  void Rename(const std::string& from, const std::string& to, unsigned flags = 0);
  void Link(const std::string& from, const std::string& to, int flags = 0);
  void Symlink(const std::string& target, const std::string& path);
  void Readlink(const std::string& path);
  void Mknod(const std::string& path, mode_t mode, dev_t device = 0);
  void List(const std::string& path);  // names and types, sorted

  // ---- attributes ----
  void Stat(const std::string& path);        // of a symlink itself
  void StatFollow(const std::string& path);  // of what it leads to
  void Fstat(int fd);
  // How atime, mtime and ctime have changed since the last look at this inode: '=', '+', '-', or
  // 'new' at first; with `kinds` (of "amc") only those.
  void Times(const std::string& path, const std::string& kinds = "mc");
  // The times themselves: for those that the scenario has set.
  void ExactTimes(const std::string& path, const std::string& kinds = "am");
  void Chmod(const std::string& path, mode_t mode);
  void Chown(const std::string& path, uid_t uid, gid_t gid, int flags = AT_SYMLINK_NOFOLLOW);
  void Utimens(const std::string& path, timespec atime, timespec mtime, int flags = 0);
  void Access(const std::string& path, int mode, int flags = 0);
  void SetXattr(const std::string& path, const std::string& name, std::string_view value,
                int flags = 0);
  void GetXattr(const std::string& path, const std::string& name);
  void ListXattrs(
      const std::string& path);  // sorted; without those that only one side has by design
  void RemoveXattr(const std::string& path, const std::string& name);

  // Everything below `path`: attributes, xattrs, targets and content.
  void Tree(const std::string& path);

  // ---- the process ----
  // Acts as this user from now on, with these supplementary groups; Become(0, 0) is root again.
  void Become(uid_t uid, gid_t gid, const std::vector<gid_t>& groups = {});
  mode_t Umask(mode_t mask);
  // Returns once the clock that file systems stamp with has moved on, so that later stamps are
  // later.
  void Tick();

 private:
  void NoteResult(const std::string& what, long result, int error_number);
  void NoteStat(const std::string& what, const struct stat& st, int inode);
  // A number for this inode, by the order of first sight. `path` and `flags` as for
  // name_to_handle_at(2), so that an inode number that comes back for a new inode is told from the
  // old one.
  int InodeNumber(const struct stat& st, int directory, const std::string& path, int flags);

  std::vector<std::string> lines_;
  std::map<std::string, int> inodes_;  // by file handle
  std::map<int, struct stat> seen_;    // by inode number: for Times
};

}  // namespace pxfs::test
