#include "jobs/cli/command.h"

#include <glob.h>
#include <unistd.h>

#include <cstdio>

#include "base/cluster_directory.h"
#include "jobs/record.h"

namespace pxfs::jobs::cli {
namespace {

constexpr uint64_t kWaitSliceMs = 30'000;

}  // namespace

Result<Client> Connect(const Context& context, const std::string& path) {
  PXFS_ASSIGN(const std::string directory, FindCluster(context.cluster, path));
  return Client::Connect(directory);
}

int Complain(const Error& error, int status) {
  std::fprintf(stderr, "pxfs-job: %s\n", error.message().c_str());
  return status;
}

Result<std::string> ToNamespacePath(const std::string& path) {
  auto found = NamespacePath(path);
  // What an earlier job is going to write may be named before any of it exists.
  std::string base = path, rest;
  while (!found && found.error() == Code::kNotFound) {
    while (base.size() > 1 && base.back() == '/') base.pop_back();
    const size_t slash = base.rfind('/');
    if (slash == std::string::npos || slash == 0) break;
    rest = base.substr(slash) + rest;
    base.resize(slash);
    if (auto above = NamespacePath(base)) {
      return *above == "/" ? rest : *above + rest;
    }
  }
  return found;
}

Result<std::vector<std::string>> ExpandInput(const std::string& path) {
  std::vector<std::string> names = {path};
  if (path.find_first_of("*?[") != std::string::npos && ::access(path.c_str(), F_OK) != 0) {
    glob_t matches{};
    const int failed = ::glob(path.c_str(), 0, nullptr, &matches);
    names.assign(matches.gl_pathv, matches.gl_pathv + (failed ? 0 : matches.gl_pathc));
    ::globfree(&matches);
    if (names.empty()) return Fail(Code::kNotFound, "input '" + path + "' matches nothing");
  }
  for (auto& name : names) {
    PXFS_ASSIGN(name, ToNamespacePath(name));
  }
  return names;
}

Result<proto::JobRecord> AwaitEnd(Client& client, uint64_t id) {
  proto::WaitRequest request;
  request.set_id(id);
  request.set_timeout_ms(kWaitSliceMs);
  while (true) {
    PXFS_ASSIGN(proto::WaitReply reply, client.Wait(request));
    if (reply.ended()) return reply.job();
  }
}

int ExitStatusOf(const proto::JobRecord& job) {
  switch (job.state()) {
    case proto::JOB_SUCCEEDED:
      return 0;
    case proto::JOB_TIMED_OUT:
      return kTimedOut;
    default:
      return job.exit_status() != 0 ? job.exit_status() : kFailed;
  }
}

}  // namespace pxfs::jobs::cli
