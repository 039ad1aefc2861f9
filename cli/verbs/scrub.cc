// pxfs scrub [PATH]
#include "volumes/scrub.h"

#include <unistd.h>

#include <cstdio>
#include <thread>

#include "base/bytes.h"
#include "base/cluster_directory.h"
#include "base/quantities.h"
#include "cli/output.h"
#include "cli/tree_files.h"
#include "cli/verbs/verbs.h"
#include "volumes/copy_throttle.h"
#include "volumes/idle_priority.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

struct Options {
  std::string path = "pxfs:/";
  std::string rate;
  bool no_progress = false;
};

class Scrub {
 public:
  Scrub(Cluster& cluster, const Command& command, bool progress)
      : cluster_(cluster), json_(command.json), progress_(progress) {}

  void SetRate(uint64_t rate) { throttle_.SetRates(rate, {}); }

  Status File(InodeId inode, const std::string& path) {
    volumes::ScrubOptions options;
    options.progress = [this](VolumeId volume, uint64_t bytes) {
      std::this_thread::sleep_for(throttle_.Spend(volume, volume, bytes));
      return true;
    };
    PXFS_ASSIGN(const volumes::ScrubOutcome outcome,
                volumes::ScrubFile(cluster_.metadata(), cluster_.volumes(), inode, options));
    ++files_;
    objects_ += outcome.objects;
    bytes_ += outcome.bytes;
    for (const volumes::ScrubDamage& damage : outcome.damages) Tell(path, damage);
    if (progress_)
      std::fprintf(stderr, "\r%s, %s ", Count(files_, "file").c_str(), FormatBytes(bytes_).c_str());
    return {};
  }

  int End() {
    if (progress_) std::fprintf(stderr, "\r\033[K");
    if (json_) {
      PrintJson({{"files", files_},
                 {"objects", objects_},
                 {"bytes", bytes_},
                 {"replaced", replaced_},
                 {"unrepairable", unrepairable_},
                 {"damages", damages_}});
    } else {
      std::printf(
          "%s (%s) read, %s damaged and replaced by another copy, %lu without a good copy\n",
          Count(objects_, "object").c_str(), FormatBytes(bytes_).c_str(),
          Count(replaced_, "object").c_str(), unrepairable_);
    }
    return unrepairable_ == 0 ? kOk : kFailed;
  }

 private:
  void Tell(const std::string& path, const volumes::ScrubDamage& damage) {
    (damage.replaceable ? replaced_ : unrepairable_) += 1;
    const std::string volume = cluster_.volumes().NameOf(damage.volume);
    nlohmann::json json = {
        {"volume", volume}, {"what", damage.what}, {"replaced", damage.replaceable}};
    volumes::SetText(json, "path", path);
    damages_.push_back(json);
    if (!json_)
      std::printf("%s: on volume %s: %s: %s\n", OneLine(path).c_str(), volume.c_str(),
                  damage.what.c_str(),
                  damage.replaceable ? "replaced by another copy" : "there is no good copy");
  }

  Cluster& cluster_;
  const bool json_, progress_;
  volumes::CopyThrottle throttle_;
  uint64_t files_ = 0, objects_ = 0, bytes_ = 0, replaced_ = 0, unrepairable_ = 0;
  nlohmann::json damages_ = nlohmann::json::array();
};

Result<int> Run(const Command& command, const Options& options) {
  const bool whole = options.path == "pxfs:/";
  PXFS_ASSIGN(const auto cluster, OpenCluster(command, whole ? "" : options.path));
  if (!OwnsCluster(cluster->identity().directory))
    return Fail(Code::kNotPermitted,
                "objects can be read by root and the cluster's owner alone; run it as root");
  volumes::BeIdle();
  Scrub scrub(*cluster, command, !options.no_progress && IsTerminal(STDERR_FILENO));
  if (!options.rate.empty()) {
    PXFS_ASSIGN(const uint64_t rate, ParseSize(options.rate));
    scrub.SetRate(rate);
  }
  PXFS_TRY(
      ForEachFile(*cluster, options.path, /*recursive=*/true,
                  [&](InodeId inode, const std::string& path) { return scrub.File(inode, path); }));
  return scrub.End();
}

}  // namespace

void AddScrub(CLI::App& app, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = AddVerb(app, command, "scrub",
                           "Read all copies of files and compare them with their checksums; a "
                           "damaged one is replaced where there is a good one. Status 1: there is "
                           "damage that cannot be repaired",
                           [&command, options] { return Run(command, *options); });
  verb->add_option("PATH", options->path,
                   "A file, or a directory with all that is in it (default: everything)");
  verb->add_option("--rate", options->rate, "Bytes a second at most, such as 50M");
  verb->add_flag("--no-progress", options->no_progress, "No progress on a terminal");
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
