#include <cstdio>

#include "base/cluster_directory.h"
#include "base/mount_registry.h"
#include "cli/mount_control.h"
#include "cli/output.h"
#include "cli/paths.h"
#include "cli/verbs/verbs.h"

namespace pxfs::cli {
namespace {

// Longer than the supervisor takes at most: to end one daemon and to give up another.
constexpr std::chrono::seconds kPatience{120};

struct Arguments {
  std::string mountpoint, program;
};

Result<MountRecord> FindMount(const std::vector<MountRecord>& mounts, const std::string& mountpoint,
                              const std::string& cluster) {
  if (mountpoint.empty()) {
    if (mounts.empty()) return Fail(Code::kNotFound, cluster + " is not mounted");
    if (mounts.size() == 1) return mounts.front();
    std::string all;
    for (const MountRecord& mount : mounts) all += " " + mount.mountpoint;
    return Fail(Code::kInvalid, cluster + " is mounted more than once; name one of" + all);
  }
  PXFS_ASSIGN(const std::string wanted, CanonicalPath(mountpoint));
  for (const MountRecord& mount : mounts)
    if (mount.mountpoint == wanted) return mount;
  return Fail(Code::kNotFound, mountpoint + ": no mount of " + cluster + " is there");
}

Result<int> Upgrade(const Command& command, const Arguments& arguments) {
  PXFS_ASSIGN(const std::string directory, FindCluster(command.cluster, arguments.mountpoint));
  PXFS_ASSIGN(const ClusterIdentity identity, ReadIdentity(directory));
  PXFS_ASSIGN(const MountRecord mount, FindMount(ListMountRecords(identity.run_directory()),
                                                 arguments.mountpoint, identity.directory));
  std::string program;
  if (!arguments.program.empty()) {
    PXFS_ASSIGN(program, CanonicalPath(arguments.program));
  }
  const auto reply = AskForUpgrade(MountControlPath(identity.run_directory(), mount.supervisor_pid),
                                   program, kPatience);
  if (!reply) return Fail(reply.error().WithContext(mount.mountpoint));
  if (!reply->problem.empty())
    return Fail(Code::kUnavailable, mount.mountpoint + ": not upgraded, version " +
                                        reply->old_version +
                                        " goes on: " + OneLine(reply->problem));
  if (command.json) {
    PrintJson({{"mountpoint", mount.mountpoint},
               {"old_version", reply->old_version},
               {"new_version", reply->new_version},
               {"stall_ms", reply->stall_ms}});
  } else {
    std::printf("%s: from version %s to %s; requests waited for %.0f ms\n",
                OneLine(mount.mountpoint).c_str(), reply->old_version.c_str(),
                reply->new_version.c_str(), reply->stall_ms);
  }
  return kOk;
}

}  // namespace

void AddMountVerbs(CLI::App& app, Command& command) {
  CLI::App* group = AddVerbGroup(app, command, "mount", "Running mounts: upgrade");
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = AddVerb(
      *group, command, "upgrade",
      "Replace a running mount's processes by the program that is now on disk; nobody notices",
      [&command, arguments] { return Upgrade(command, *arguments); });
  verb->add_option("MOUNTPOINT", arguments->mountpoint,
                   "The mount (default: the only one of the cluster)");
  verb->add_option("--program", arguments->program,
                   "The mount.pxfs to go on with (default: from where the mount was made)")
      ->type_name("FILE");
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
