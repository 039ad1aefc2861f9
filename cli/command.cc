#include "cli/command.h"

#include <unistd.h>

#include "cli/paths.h"

namespace pxfs::cli {
namespace {

CLI::App* AddSubcommand(CLI::App& parent, Command& command, const std::string& name,
                        const std::string& description) {
  CLI::App* subcommand = parent.add_subcommand(name, description);
  subcommand->set_help_flag("-h,--help", "Print this help and exit");
  AddClusterOptions(*subcommand, command);
  return subcommand;
}

}  // namespace

CLI::App* AddVerb(CLI::App& parent, Command& command, const std::string& name,
                  const std::string& description, std::function<Result<int>()> run) {
  CLI::App* verb = AddSubcommand(parent, command, name, description);
  const std::string full = parent.get_parent() ? parent.get_name() + " " + name : name;
  verb->callback([&command, full, run = std::move(run)] {
    command.verb = full;
    command.run = run;
  });
  return verb;
}

CLI::App* AddVerbGroup(CLI::App& parent, Command& command, const std::string& name,
                       const std::string& description) {
  CLI::App* group = AddSubcommand(parent, command, name, description);
  group->require_subcommand(1);
  return group;
}

void AddClusterOptions(CLI::App& app, Command& command) {
  app.add_option("--cluster", command.cluster,
                 "The cluster directory (default: $PXFS_CLUSTER, or what is mounted)")
      ->type_name("DIR");
  app.add_option("--lock-wait", command.lock_wait_seconds,
                 "How long to wait for another command that has the cluster open (5)")
      ->check(CLI::Range(0.0, 1e6))
      ->type_name("SECONDS");
}

void AddJsonOption(CLI::App& verb, Command& command) {
  verb.add_flag("--json", command.json, "Print JSON");
}

Result<std::unique_ptr<Cluster>> OpenCluster(const Command& command, const std::string& path) {
  PXFS_ASSIGN(const std::string directory, FindCluster(command.cluster, path));
  const auto wait = std::chrono::duration<double>(command.lock_wait_seconds);
  return Cluster::Open(directory, Access::kAny,
                       std::chrono::duration_cast<std::chrono::milliseconds>(wait));
}

Status RequireServed(const Cluster& cluster, const std::string& consequence) {
  if (!cluster.embedded()) return {};
  return Fail(Code::kInvalid, "nobody serves the cluster, so " + consequence + "; mount it first");
}

meta::CallContext CallerContext() {
  meta::CallContext ctx;
  ctx.uid = ::geteuid();
  ctx.gid = ::getegid();
  ctx.check_access = ctx.uid != 0;
  const int count = ::getgroups(0, nullptr);
  if (count > 0) {
    std::vector<gid_t> groups(static_cast<size_t>(count));
    const int got = ::getgroups(count, groups.data());
    ctx.groups.assign(groups.begin(), groups.begin() + std::max(got, 0));
  }
  return ctx;
}

Result<std::string> NamespaceArgument(Cluster& cluster, const std::string& path) {
  PXFS_ASSIGN(const std::string inside, NamespacePath(path));
  if (path.starts_with("pxfs:")) return inside;
  PXFS_ASSIGN(const std::string canonical, CanonicalPath(path));
  const std::string mounted = MountedClusterAt(canonical);
  if (mounted.empty() || mounted == cluster.identity().directory) return inside;
  const auto other = ReadIdentity(mounted);
  if (other && other->uuid == cluster.identity().uuid) return inside;
  return Fail(Code::kInvalid, path + ": lies in a mount of the cluster " + mounted + ", not of " +
                                  cluster.identity().directory + "; give --cluster " + mounted);
}

Result<meta::Attr> ResolveArgument(Cluster& cluster, const meta::CallContext& ctx,
                                   const std::string& path) {
  PXFS_ASSIGN(const std::string inside, NamespaceArgument(cluster, path));
  auto attr = cluster.metadata().Resolve(ctx, kRootInode, inside, /*follow_last=*/true);
  if (!attr)
    return Fail(attr.error().code(), path + ": " + std::string(Describe(attr.error().code())));
  return attr;
}

}  // namespace pxfs::cli
