// A library to be preloaded into a mount's daemon: kills it (SIGKILL) right before the chosen one
// of the system calls by which it serves a FUSE operation. So a test can let it die at every point
// where something that lasts has just changed, and before the answer.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>

#include "tests/survive/crash_control.h"

namespace {

using pxfs::test::CrashControl;

CrashControl* Control() {
  static CrashControl* const control = []() -> CrashControl* {
    const char* path = std::getenv(pxfs::test::kCrashControlVariable);
    if (!path) return nullptr;
    const int fd = ::open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return nullptr;
    void* mapping =
        ::mmap(nullptr, sizeof(CrashControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    return mapping == MAP_FAILED ? nullptr : static_cast<CrashControl*>(mapping);
  }();
  return control;
}

thread_local uint32_t served_opcode = 0;  // of the request that this thread serves

bool IsDevFuse(int fd) {
  struct stat st;
  return ::fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 229);
}

// Before a call that changes or sends something.
void Step() {
  if (served_opcode == 0) return;
  CrashControl* control = Control();
  if (!control || control->opcode != served_opcode) return;
  if (control->steps_left.fetch_sub(1) > 0) return;
  control->opcode = 0;
  control->fired = 1;
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

template <typename Function>
Function Real(Function, const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define PXFS_REAL(name) static const auto real = Real(static_cast<decltype(&name)>(nullptr), #name)

extern "C" {

ssize_t read(int fd, void* buffer, size_t size) {
  PXFS_REAL(read);
  const bool device = Control() && IsDevFuse(fd);
  if (device) served_opcode = 0;
  const ssize_t n = real(fd, buffer, size);
  if (device && n >= static_cast<ssize_t>(sizeof(fuse_in_header)))
    served_opcode = static_cast<const fuse_in_header*>(buffer)->opcode;
  return n;
}

ssize_t write(int fd, const void* buffer, size_t size) {
  PXFS_REAL(write);
  Step();
  return real(fd, buffer, size);
}

ssize_t writev(int fd, const iovec* iov, int count) {
  PXFS_REAL(writev);
  Step();
  return real(fd, iov, count);
}

ssize_t pwrite64(int fd, const void* buffer, size_t size, off64_t offset) {
  PXFS_REAL(pwrite64);
  Step();
  return real(fd, buffer, size, offset);
}

ssize_t pwrite(int fd, const void* buffer, size_t size, off_t offset) {
  return pwrite64(fd, buffer, size, offset);
}

int ftruncate64(int fd, off64_t size) noexcept {
  PXFS_REAL(ftruncate64);
  Step();
  return real(fd, size);
}

int ftruncate(int fd, off_t size) noexcept { return ftruncate64(fd, size); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  PXFS_REAL(fallocate64);
  Step();
  return real(fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  return fallocate64(fd, mode, offset, length);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  PXFS_REAL(sendmsg);
  Step();
  return real(fd, message, flags);
}

ssize_t recv(int fd, void* buffer, size_t size, int flags) {
  PXFS_REAL(recv);
  Step();
  return real(fd, buffer, size, flags);
}

int ioctl(int fd, unsigned long request, ...) noexcept {
  PXFS_REAL(ioctl);
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  Step();
  return real(fd, request, argument);
}

int openat64(int directory, const char* path, int flags, ...) {
  PXFS_REAL(openat64);
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = va_arg(arguments, mode_t);
  va_end(arguments);
  if (flags & O_CREAT) Step();
  return real(directory, path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = va_arg(arguments, mode_t);
  va_end(arguments);
  return openat64(directory, path, flags, mode);
}

int fchmod(int fd, mode_t mode) noexcept {
  PXFS_REAL(fchmod);
  Step();
  return real(fd, mode);
}

int fchown(int fd, uid_t uid, gid_t gid) noexcept {
  PXFS_REAL(fchown);
  Step();
  return real(fd, uid, gid);
}

int futimens(int fd, const timespec times[2]) noexcept {
  PXFS_REAL(futimens);
  Step();
  return real(fd, times);
}

}  // extern "C"
