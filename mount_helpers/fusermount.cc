#include "mount_helpers/fusermount.h"

#include <sys/socket.h>

#include <chrono>
#include <vector>

#include "base/pass_descriptor.h"
#include "base/process.h"

namespace pxfs::mount_helpers {
namespace {

constexpr char kProgram[] = "fusermount3";
constexpr std::chrono::seconds kTimeout{60};

Status RunFusermount(ProgramCall call) {
  call.argv.insert(call.argv.begin(), kProgram);
  const auto end = RunProgram(call, kTimeout);
  if (!end && end.error() == Code::kNotFound)
    return Fail(
        Code::kNotFound,
        "ordinary users mount by fusermount3, which is not there: install the package fuse3");
  if (!end) return Fail(end.error());
  if (end->status == 0) return {};
  const std::string said = end->output.substr(0, end->output.find('\n'));
  return Fail(Code::kNotPermitted,
              said.empty() ? std::string(kProgram) + ": it failed without a word" : said);
}

}  // namespace

Result<UniqueFd> MountByFusermount(const std::string& mountpoint, const std::string& options) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return FailErrno(errno, "socketpair");
  UniqueFd here(ends[0]), there(ends[1]);
  // Where it sends the device to.
  PXFS_TRY(RunFusermount({.argv = {"-o", options, "--", mountpoint},
                          .extra_env = {"_FUSE_COMMFD=" + std::to_string(there.get())},
                          .directory = "",
                          .inherited_fds = {there.get()}}));
  there.reset();
  return ReceiveDescriptor(here.get());
}

Status UnmountByFusermount(const std::string& mountpoint, bool lazy) {
  std::vector<std::string> words = {"-u", "--", mountpoint};
  if (lazy) words.insert(words.begin() + 1, "-z");
  return RunFusermount({.argv = words, .extra_env = {}, .directory = "", .inherited_fds = {}});
}

}  // namespace pxfs::mount_helpers
