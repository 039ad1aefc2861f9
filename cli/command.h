// What the verbs of `pxfs` share: the options of every verb, and how a verb says what to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/cluster.h"

namespace pxfs::cli {

// Exit statuses of pxfs.
inline constexpr int kOk = 0, kFailed = 1, kUsage = 2;

struct Command {
  std::string cluster;           // --cluster
  double lock_wait_seconds = 5;  // --lock-wait: for a process that has the store open
  bool json = false;
  // Set by the verb that was parsed. The result is the exit status; a verb that has shown its
  // errors itself returns kFailed.
  std::string verb;
  std::function<Result<int>()> run;
};

// A verb with --cluster, --lock-wait and --help. `run` is called once everything is parsed.
CLI::App* AddVerb(CLI::App& parent, Command& command, const std::string& name,
                  const std::string& description, std::function<Result<int>()> run);
// A verb that only has verbs below it.
CLI::App* AddVerbGroup(CLI::App& parent, Command& command, const std::string& name,
                       const std::string& description);
// --cluster and --lock-wait.
void AddClusterOptions(CLI::App& app, Command& command);
void AddJsonOption(CLI::App& verb, Command& command);

// The cluster that the options and `path` (may be empty) mean.
Result<std::unique_ptr<Cluster>> OpenCluster(const Command& command, const std::string& path = "");

// kInvalid where nobody serves the cluster, so that what is asked for would only wait: "nobody
// serves the cluster, so <consequence>; mount it first".
Status RequireServed(const Cluster& cluster, const std::string& consequence);

// Calls on behalf of who runs this program: with checks unless it is root.
meta::CallContext CallerContext();

// The path within the namespace of `cluster` that a PATH argument means. kInvalid: it lies in a
// mount of another cluster; kNotFound as NamespacePath.
Result<std::string> NamespaceArgument(Cluster& cluster, const std::string& path);
// The inode that a PATH argument means; symlinks are followed. The error names `path`.
Result<meta::Attr> ResolveArgument(Cluster& cluster, const meta::CallContext& ctx,
                                   const std::string& path);

}  // namespace pxfs::cli
