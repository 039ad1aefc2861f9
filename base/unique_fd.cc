#include "base/unique_fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace pxfs {

void UniqueFd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Status UniqueFd::Close() {
  if (fd_ < 0) return {};
  if (::close(std::exchange(fd_, -1)) != 0) return FailErrno(errno, "close");
  return {};
}

Result<UniqueFd> OpenAt(int dir_fd, const std::string& path, int flags, unsigned mode) {
  int fd;
  do {
    fd = ::openat(dir_fd, path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return FailErrno(errno, path);
  return UniqueFd(fd);
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, path, O_RDONLY));
  std::string content;
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, path);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    if (content.size() > max_bytes) return Fail(Code::kTooBig, path + ": larger than expected");
  }
}

Status WriteAll(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "write");
    data.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode) {
  return WriteFileAtomically(
      path, [&](int fd) { return WriteAll(fd, content); }, mode);
}

Status WriteFileAtomically(const std::string& path, const std::function<Status(int fd)>& write,
                           unsigned mode) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC, mode));
  Status written = write(fd.get());
  if (written && ::fsync(fd.get()) != 0) written = FailErrno(errno, "fsync");
  if (written) written = fd.Close();
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = FailErrno(errno, "rename");
  if (!written) {
    ::unlink(temporary.c_str());
    return Fail(written.error().WithContext(path));
  }
  return SyncDirectory(directory);
}

Status SyncDirectory(const std::string& directory) {
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return FailErrno(errno, directory);
  return {};
}

Status SyncFileSystem(const std::string& directory) {
  PXFS_ASSIGN(const UniqueFd fd, OpenAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0) return FailErrno(errno, directory);
  return {};
}

Status MakeDirectories(const std::string& path, unsigned mode) {
  for (size_t end = 1; end != std::string::npos;) {
    end = path.find('/', end);
    const std::string prefix = path.substr(0, end);
    if (end != std::string::npos) ++end;
    if (prefix.empty() || ::mkdir(prefix.c_str(), mode) == 0 || errno == EEXIST) continue;
    return FailErrno(errno, prefix);
  }
  return {};
}

}  // namespace pxfs
