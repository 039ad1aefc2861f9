#include "mount_helpers/fusermount.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "base/pass_descriptor.h"

namespace pxfs::mount_helpers {
namespace {

constexpr char kProgram[] = "fusermount3";
constexpr int kSocketFd = 3;  // in fusermount3

// What it says on standard error, its first line without its name.
std::string FirstLine(int fd) {
  std::string said;
  char buffer[512];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    said.append(buffer, static_cast<size_t>(n));
  }
  said = said.substr(0, said.find('\n'));
  const std::string name = std::string(kProgram) + ": ";
  return said.starts_with(name) ? said.substr(name.size()) : said;
}

// Runs it to its end. `socket`: where it sends the device; -1: nowhere.
Status RunFusermount(std::vector<std::string> words, int socket) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  UniqueFd reader(ends[0]), writer(ends[1]);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, writer.get(), STDERR_FILENO);
  if (socket >= 0) posix_spawn_file_actions_adddup2(&files, socket, kSocketFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);

  words.insert(words.begin(), kProgram);
  std::vector<char*> argv, variables;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string where = "_FUSE_COMMFD=" + std::to_string(kSocketFd);
  for (char** variable = environ; *variable; ++variable) {
    if (!std::string_view(*variable).starts_with("_FUSE_COMMFD=")) variables.push_back(*variable);
  }
  if (socket >= 0) variables.push_back(where.data());
  variables.push_back(nullptr);

  pid_t pid = 0;
  const int failed =
      ::posix_spawnp(&pid, kProgram, &files, &attributes, argv.data(), variables.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  writer.reset();
  if (failed == ENOENT)
    return Fail(
        Code::kNotFound,
        "ordinary users mount by fusermount3, which is not there: install the package fuse3");
  if (failed != 0) return FailErrno(failed, kProgram);
  const std::string said = FirstLine(reader.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Fail(Code::kNotPermitted,
              std::string(kProgram) + ": " + (said.empty() ? "it failed without a word" : said));
}

}  // namespace

Result<UniqueFd> MountByFusermount(const std::string& mountpoint, const std::string& options) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return FailErrno(errno, "socketpair");
  UniqueFd here(ends[0]), there(ends[1]);
  PXFS_TRY(RunFusermount({"-o", options, "--", mountpoint}, there.get()));
  there.reset();
  return ReceiveDescriptor(here.get());
}

Status UnmountByFusermount(const std::string& mountpoint, bool lazy) {
  std::vector<std::string> words = {"-u", "--", mountpoint};
  if (lazy) words.insert(words.begin() + 1, "-z");
  return RunFusermount(std::move(words), -1);
}

}  // namespace pxfs::mount_helpers
