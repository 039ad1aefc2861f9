// pxfs policy set|get|unset
#include <cstdio>

#include "cli/copy_warnings.h"
#include "cli/output.h"
#include "cli/policy_change.h"
#include "cli/verbs/verbs.h"
#include "meta/placement.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

struct Options {
  std::string path;
  std::vector<std::string> words;
};

struct Target {
  std::unique_ptr<Cluster> cluster;
  meta::CallContext ctx = CallerContext();
  meta::Attr attr;
  meta::PolicyView view;
};

Result<Target> Find(const Command& command, const Options& options) {
  Target target;
  PXFS_ASSIGN(target.cluster, OpenCluster(command, options.path));
  PXFS_ASSIGN(target.attr, ResolveArgument(*target.cluster, target.ctx, options.path));
  PXFS_ASSIGN(target.view, target.cluster->metadata().GetPolicy(target.attr.inode));
  return target;
}

Status Store(Target& target, const Options& options, const meta::Policy& policy) {
  if (!target.attr.is_directory())
    return Fail(Code::kNotDirectory,
                options.path + ": policies belong to directories; files follow theirs");
  auto set = target.cluster->metadata().SetPolicy(target.ctx, target.attr.inode, policy);
  if (!set) return Fail(set.error().WithContext(options.path));
  return target.cluster->metadata().Sync();
}

Result<int> Set(const Command& command, const Options& options) {
  PXFS_ASSIGN(const meta::Policy change, ParsePolicyWords(options.words));
  PXFS_ASSIGN(Target target, Find(command, options));
  PXFS_TRY(Store(target, options, Overlay(target.view.own, change)));
  if (!change.copies && change.labels.empty()) return kOk;
  PXFS_ASSIGN(const meta::PolicyView now, target.cluster->metadata().GetPolicy(target.attr.inode));
  PXFS_ASSIGN(const auto warnings,
              CopyWarnings(*target.cluster, now.effective, meta::WantedCopies(now.effective, {})));
  for (const std::string& warning : warnings) PrintWarning(warning);
  return kOk;
}

Result<int> Unset(const Command& command, const Options& options) {
  PXFS_ASSIGN(Target target, Find(command, options));
  meta::Policy policy;
  if (!options.words.empty()) {
    PXFS_ASSIGN(policy, WithoutKeys(target.view.own, options.words));
  }
  PXFS_TRY(Store(target, options, policy));
  return kOk;
}

Result<int> Get(const Command& command, const Options& options) {
  PXFS_ASSIGN(const Target target, Find(command, options));
  std::string set_on;
  if (target.view.set_on) {
    PXFS_ASSIGN(set_on, target.cluster->metadata().PathOf(target.view.set_on));
  }
  if (command.json) {
    nlohmann::json json = {{"own", meta::ToText(target.view.own)},
                           {"effective", meta::ToText(target.view.effective)}};
    volumes::SetText(json, "set_on", set_on);
    PrintJson(json);
    return kOk;
  }
  std::printf("%s  (%s)\n", meta::ToText(target.view.effective).c_str(),
              set_on.empty() ? "defaults" : ("set on " + OneLine(set_on)).c_str());
  return kOk;
}

}  // namespace

void AddPolicyVerbs(CLI::App& app, Command& command) {
  CLI::App* group = AddVerbGroup(app, command, "policy",
                                 "Placement and copies for a directory tree: set, get, unset");
  const char* const path_help = "A directory inside a mount, or pxfs:/PATH";

  auto set_options = std::make_shared<Options>();
  CLI::App* set =
      AddVerb(*group, command, "set", "Set parts of the policy of a directory; new files follow it",
              [&command, set_options] { return Set(command, *set_options); });
  set->add_option("PATH", set_options->path, path_help)->required();
  set->add_option(
         "KEY=VALUE", set_options->words,
         "placement=spread|most-free|local-first|colocate (or the bare word), pin=VOLUME, "
         "copies=N, "
         "max-copies=N, hot=on|off, passthrough=on|off, commit=close|async, or LABEL=VALUE")
      ->required();

  auto get_options = std::make_shared<Options>();
  CLI::App* get = AddVerb(*group, command, "get", "Show the policy that holds for a path",
                          [&command, get_options] { return Get(command, *get_options); });
  get->add_option("PATH", get_options->path, "A path inside a mount, or pxfs:/PATH")->required();
  AddJsonOption(*get, command);

  auto unset_options = std::make_shared<Options>();
  CLI::App* unset =
      AddVerb(*group, command, "unset", "Remove parts of a directory's policy, or all of it",
              [&command, unset_options] { return Unset(command, *unset_options); });
  unset->add_option("PATH", unset_options->path, path_help)->required();
  unset->add_option(
      "KEY", unset_options->words,
      "placement, copies, max-copies, hot, passthrough, commit or a label (default: all)");
}

}  // namespace pxfs::cli
