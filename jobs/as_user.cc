#include "jobs/as_user.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace pxfs::jobs {
namespace {

// Gives this thread alone the user's rights: the system calls act on the calling thread, unlike
// their wrappers in libc, which change the whole process.
Status BecomeInThisThread(const proto::User& user) {
  std::vector<gid_t> groups(user.groups().begin(), user.groups().end());
  if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0 ||
      ::syscall(SYS_setresgid, user.gid(), user.gid(), user.gid()) != 0 ||
      ::syscall(SYS_setresuid, user.uid(), user.uid(), user.uid()) != 0) {
    return FailErrno(errno, "cannot become user " + std::to_string(user.uid()));
  }
  return {};
}

}  // namespace

Result<UniqueFd> OpenAsUser(const std::string& path, int flags, const proto::User& user) {
  if (user.uid() == ::getuid()) return OpenAt(AT_FDCWD, path, flags);
  Result<UniqueFd> opened = Fail(Code::kIo);
  // The thread ends with its changed rights.
  std::thread([&] {
    const auto become = BecomeInThisThread(user);
    opened = become ? OpenAt(AT_FDCWD, path, flags) : Fail(become.error());
  }).join();
  return opened;
}

std::string PathOfFd(const UniqueFd& fd) {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());
}

void FillGroups(proto::User& user) {
  user.clear_groups();
  std::vector<char> buffer(16 << 10);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(user.uid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return;
  int count = 64;
  std::vector<gid_t> groups(static_cast<size_t>(count));
  if (::getgrouplist(found->pw_name, user.gid(), groups.data(), &count) < 0) {
    groups.resize(static_cast<size_t>(count));
    if (::getgrouplist(found->pw_name, user.gid(), groups.data(), &count) < 0) return;
  }
  for (int i = 0; i < count; ++i) {
    if (groups[static_cast<size_t>(i)] != user.gid())
      user.add_groups(groups[static_cast<size_t>(i)]);
  }
}

}  // namespace pxfs::jobs
