#include "cli/ingest/ingest.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <thread>

#include "base/bytes.h"
#include "base/cluster_directory.h"
#include "cli/ingest/progress.h"
#include "cli/output.h"
#include "cli/policy_change.h"
#include "cli/verbs/verbs.h"

namespace pxfs::cli {
namespace {

constexpr const char* kDescription =
    "Copy files and directories in, in parallel: modes, owners, times, xattrs, ACLs, links and "
    "special files are kept";

constexpr const char* kFooter =
    "DEST is as for cp: a directory to put the sources into, or the name of what is made; SRC/. "
    "means what is in SRC.\n"
    "A file appears in the namespace once its content is complete. Files that exist already are "
    "errors; --resume\n"
    "leaves out those of the same size and mtime (with --verify: and content), so that an ingest "
    "that was interrupted\n"
    "can be run again: the same command means the same DEST, also where the first run has made "
    "it.\n"
    "With --adopt, files on the file system of a volume become objects of that volume by a hard "
    "link: nothing is\n"
    "copied, but the source and the file in pxfs are one file then, and a change of either is a "
    "change of both; with\n"
    "--move the source's name is removed, as by a rename. Other files are copied. A policy's "
    "choice of volumes does\n"
    "not hold for adopted files, and they get a checksum only with --verify.";

struct Options {
  std::vector<std::string> paths;  // SRC... DEST
  std::vector<std::string> policy;
  bool move = false, adopt = false, verify = false, resume = false, no_progress = false;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
};

std::atomic<bool> stop_requested{false};

// The first signal ends the work in order, a second one at once.
extern "C" void RequestStop(int signal) {
  stop_requested = true;
  ::signal(signal, SIG_DFL);
}

void HandleSignals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action = {};
    action.sa_handler = RequestStop;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

std::string NameOf(Cluster& cluster, VolumeId id) {
  const auto info = cluster.volumes().Info(id);
  return info ? info->name : std::to_string(id.value);
}

nlohmann::json ToJson(Cluster& cluster, const IngestCounters& counters, const Problems& problems,
                      double seconds) {
  nlohmann::json json = {{"files", counters.files.load()},
                         {"bytes", counters.bytes.load()},
                         {"directories", counters.directories.load()},
                         {"symlinks", counters.symlinks.load()},
                         {"links", counters.links.load()},
                         {"special", counters.special.load()},
                         {"adopted", counters.adopted.load()},
                         {"skipped", counters.skipped.load()},
                         {"failed", problems.count()},
                         {"seconds", seconds},
                         {"volumes", nlohmann::json::array()}};
  for (const auto& [id, share] : counters.Shares())
    json["volumes"].push_back(
        {{"name", NameOf(cluster, id)}, {"files", share.files}, {"bytes", share.bytes}});
  return json;
}

void PrintSummary(Cluster& cluster, const IngestCounters& counters, const Problems& problems,
                  double seconds) {
  std::string line = Count(counters.files, "file") + ", " + FormatBytes(counters.bytes);
  line += fmt::format(" in {:.1f} s", seconds);
  if (counters.bytes != 0)
    line += " (" +
            FormatBytes(static_cast<uint64_t>(static_cast<double>(counters.bytes) /
                                              std::max(seconds, 0.001))) +
            "/s)";
  const auto add = [&](uint64_t number, const std::string& what) {
    if (number != 0) line += ", " + std::to_string(number) + " " + what;
  };
  add(counters.adopted, "adopted");
  add(counters.skipped, "there already");
  add(problems.count(), "failed");
  std::string shares;
  for (const auto& [id, share] : counters.Shares())
    shares += (shares.empty() ? "; " : ", ") + NameOf(cluster, id) + ": " +
              Count(share.files, "file") + ", " + FormatBytes(share.bytes);
  std::printf("%s%s\n", line.c_str(), shares.c_str());
}

Result<IngestOptions> Prepare(const Options& options) {
  if (options.paths.size() < 2) return Fail(Code::kInvalid, "no destination: give SRC... DEST");
  if (::geteuid() != 0 && options.adopt)
    return Fail(
        Code::kNotPermitted,
        "only root may adopt files, whose owners and modes would be those of objects; leave "
        "--adopt away");
  IngestOptions ingest;
  ingest.sources.assign(options.paths.begin(), options.paths.end() - 1);
  ingest.destination = options.paths.back();
  ingest.move = options.move;
  ingest.adopt = options.adopt;
  ingest.verify = options.verify;
  ingest.resume = options.resume;
  ingest.threads = options.threads;
  ingest.stop = &stop_requested;
  if (!options.policy.empty()) {
    PXFS_ASSIGN(ingest.policy, ParsePolicyWords(options.policy));
  }
  return ingest;
}

Result<int> Run(const Command& command, const Options& options) {
  PXFS_ASSIGN(const IngestOptions ingest, Prepare(options));
  PXFS_ASSIGN(const std::string directory, FindCluster(command.cluster, ingest.destination));
  if (!OwnsCluster(directory))
    return Fail(Code::kNotPermitted,
                "only root and the cluster's owner may bring files in directly; copy through a "
                "mount instead: cp -a SRC... DEST");
  PXFS_ASSIGN(const auto cluster, OpenCluster(command, ingest.destination));
  HandleSignals();
  const auto started = std::chrono::steady_clock::now();
  IngestCounters counters;
  std::optional<ProgressBar> bar;
  Problems problems([&](const std::string& message) {
    const auto print = [&] { PrintError("ingest", message); };
    if (bar)
      bar->PrintAbove(print);
    else
      print();
  });
  if (!options.no_progress && IsTerminal(STDERR_FILENO)) bar.emplace(counters, ingest.sources);
  const Status done = Ingest(*cluster, ingest, counters, problems);
  bar.reset();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  if (problems.hidden() != 0)
    PrintError("ingest", "and " + Count(problems.hidden(), "further problem"));
  if (!done && done.error() != Code::kInterrupted) return Fail(done.error());
  if (command.json)
    PrintJson(ToJson(*cluster, counters, problems, seconds));
  else
    PrintSummary(*cluster, counters, problems, seconds);
  if (!done)
    return Fail(Code::kInterrupted,
                "interrupted; what was complete is there, run it again with --resume");
  return problems.count() == 0 ? kOk : kFailed;
}

}  // namespace

void AddIngest(CLI::App& app, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = AddVerb(app, command, "ingest", kDescription,
                           [&command, options] { return Run(command, *options); });
  verb->footer(kFooter);
  verb->add_option("SRC... DEST", options->paths,
                   "What to bring in, and where: a path inside a mount, or pxfs:/PATH")
      ->required()
      ->expected(2, -1);
  verb->add_flag("--move", options->move, "Remove the sources once everything is in and durable");
  verb->add_flag("--adopt", options->adopt,
                 "Link files that lie on a volume's file system rather than copy them");
  verb->add_flag("--verify", options->verify,
                 "Read every object back from its disk and compare XXH3-128");
  verb->add_flag("--resume", options->resume,
                 "Leave out what is there already with the same size and mtime");
  verb->add_option("--policy", options->policy,
                   "Set this policy on the directories first (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  verb->add_option("-j,--threads", options->threads, "How many files at once")
      ->check(CLI::Range(1, 256));
  verb->add_flag("--no-progress", options->no_progress, "No progress bar");
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
