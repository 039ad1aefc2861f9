#include "meta/store_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace pxfs::meta {
namespace {

using Clock = std::chrono::steady_clock;

// True: taken. False: somebody else has it.
Result<bool> TryLock(int fd, const std::string& path) {
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return FailErrno(errno, "lock " + path);
  }
  return true;
}

// The owner's closing of the file, as it leaves or dies, is an event: waiting for that makes the
// hand-over immediate. The kernel reports it just before it drops the lock, hence a second look
// soon after; and one now and then in case the file is held by a descriptor that was inherited.
Status WaitForOwner(int fd, int watch, const std::string& path, Clock::time_point deadline,
                    bool* locked) {
  std::chrono::milliseconds look_again(1);  // it may have left before the watch began
  while (!*locked && Clock::now() < deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    struct pollfd event = {watch, POLLIN, 0};
    if (poll(&event, 1, static_cast<int>(std::min(left, look_again).count())) < 0 && errno != EINTR)
      return FailErrno(errno, "wait for the lock " + path);
    look_again = std::chrono::milliseconds(200);
    if (event.revents & POLLIN) {
      alignas(struct inotify_event) char events[4096];
      if (read(watch, events, sizeof events) < 0 && errno != EAGAIN && errno != EINTR)
        return FailErrno(errno, "wait for the lock " + path);
      look_again = std::chrono::milliseconds(1);
    }
    PXFS_ASSIGN(*locked, TryLock(fd, path));
  }
  return {};
}

}  // namespace

Result<UniqueFd> LockStore(const std::string& path, std::chrono::milliseconds wait) {
  PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, path, O_RDWR | O_CREAT, 0600));
  PXFS_ASSIGN(bool locked, TryLock(fd.get(), path));
  if (!locked && wait.count() > 0) {
    UniqueFd watch(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch || inotify_add_watch(watch.get(), path.c_str(), IN_CLOSE_WRITE) < 0)
      return FailErrno(errno, "watch " + path);
    PXFS_TRY(WaitForOwner(fd.get(), watch.get(), path, Clock::now() + wait, &locked));
  }
  char owner[32] = {};
  if (!locked) {
    const ssize_t size = pread(fd.get(), owner, sizeof owner - 1, 0);
    const long pid = size > 0 ? std::strtol(owner, nullptr, 10) : 0;
    return Fail(Code::kBusy, "the cluster is in use by process " + std::to_string(pid) + " (" +
                                 path + "); end it, or use the cluster through it");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(fd.get(), 0) != 0 ||
      pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return FailErrno(errno, "write " + path);
  return fd;
}

}  // namespace pxfs::meta
