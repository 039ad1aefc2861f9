#include "tests/survive/prober.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace pxfs::test {
namespace {

constexpr char kContent[] = "what a prober reads";

}  // namespace

Status Prober::Prepare() {
  PXFS_TRY(MakeDirectories(directory_));
  PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, directory_ + "/read", O_WRONLY | O_CREAT, 0644));
  return WriteAll(fd.get(), kContent);
}

template <typename Call>
auto Prober::Timed(const char* what, Call call) {
  const auto before = std::chrono::steady_clock::now();
  const auto result = call();
  const int error = errno;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - before);
  if (took > longest_.time) longest_ = {took, what};
  errno = error;
  return result;
}

Status Prober::Step() {
  const std::string known = directory_ + "/read";
  struct stat st;
  if (Timed("stat", [&] { return ::stat(known.c_str(), &st); }) != 0)
    return FailErrno(errno, "stat");
  UniqueFd reader(Timed("open", [&] { return ::open(known.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!reader) return FailErrno(errno, "open");
  char bytes[64];
  const ssize_t n = Timed("read", [&] { return ::read(reader.get(), bytes, sizeof bytes); });
  if (n < 0) return FailErrno(errno, "read");
  if (std::string_view(bytes, static_cast<size_t>(n)) != kContent)
    return Fail(Code::kCorruption, "read other bytes than were written");
  if (Timed("close", [&] { return ::close(reader.release()); }) != 0)
    return FailErrno(errno, "close");

  const std::string made = directory_ + "/made" + std::to_string(round_++);
  UniqueFd writer(Timed("create", [&] {
    return ::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  }));
  if (!writer) return FailErrno(errno, "create " + made);
  if (Timed("write", [&] { return ::write(writer.get(), "x", 1); }) != 1)
    return FailErrno(errno, "write");
  if (Timed("close", [&] { return ::close(writer.release()); }) != 0)
    return FailErrno(errno, "close");
  if (Timed("unlink", [&] { return ::unlink(made.c_str()); }) != 0)
    return FailErrno(errno, "unlink " + made);
  return {};
}

}  // namespace pxfs::test
