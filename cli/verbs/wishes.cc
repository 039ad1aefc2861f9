// pxfs replicate|pin|unpin|evict: what files ask for themselves.
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>

#include "cli/copy_warnings.h"
#include "cli/output.h"
#include "cli/tree_files.h"
#include "cli/verbs/verbs.h"
#include "cli/volume_lookup.h"
#include "meta/placement.h"

namespace pxfs::cli {
namespace {

using meta::CopyWishes;

struct Options {
  std::string path;
  uint32_t copies = 0;
  std::vector<std::string> volumes;
  bool recursive = false, wait = false;
};

// The files that an argument means, and how their wishes change.
class Change {
 public:
  using Apply = std::function<Status(const meta::Location& file, CopyWishes& wishes)>;

  static Result<int> Run(const Command& command, const Options& options,
                         const std::function<Result<Apply>(Cluster&)>& make) {
    PXFS_ASSIGN(const auto cluster, OpenCluster(command, options.path));
    if (options.wait) PXFS_TRY(RequireServed(*cluster, "nothing would be copied"));
    PXFS_ASSIGN(const Apply apply, make(*cluster));
    std::vector<InodeId> changed;
    const auto one = [&](InodeId inode, const std::string& path) -> Status {
      PXFS_ASSIGN(const meta::Location file, cluster->metadata().Locate(CallerContext(), inode));
      CopyWishes wishes = file.wishes;
      if (auto applied = apply(file, wishes); !applied)
        return Fail(applied.error().WithContext(path));
      const Status set = cluster->metadata().SetCopyWishes(CallerContext(), inode, wishes);
      if (!set) return Fail(set.error().WithContext(path));
      if (options.wait) changed.push_back(inode);
      return {};
    };
    PXFS_TRY(ForEachFile(*cluster, options.path, options.recursive, one));
    PXFS_TRY(cluster->metadata().Sync());
    if (options.copies > 1) {
      PXFS_ASSIGN(const auto warnings, CopyWarnings(*cluster, {}, options.copies));
      for (const std::string& warning : warnings) PrintWarning(warning);
    }
    if (options.wait) PXFS_TRY(Await(*cluster, changed));
    return kOk;
  }

 private:
  // Until each file has what it asks for. Blocks for the copying.
  static Status Await(Cluster& cluster, const std::vector<InodeId>& files) {
    constexpr auto kLook = std::chrono::milliseconds(50);
    for (const InodeId inode : files) {
      for (;;) {
        const auto file = cluster.metadata().Locate(CallerContext(), inode);
        if (!file && file.error() == Code::kNotFound) break;
        if (!file) return Fail(file.error());
        PXFS_ASSIGN(const bool met, Met(cluster, *file));
        if (met) break;
        std::this_thread::sleep_for(kLook);
      }
    }
    return {};
  }

  static Result<bool> Met(Cluster& cluster, const meta::Location& file) {
    PXFS_ASSIGN(const auto volumes, cluster.metadata().ListVolumes());
    uint32_t good = 0;
    auto missing = file.wishes.volumes;
    for (const meta::Replica& replica : file.replicas) {
      if (replica.state != meta::ReplicaState::kCurrent) continue;
      missing.erase(replica.volume);
      const meta::VolumeInfo* volume = meta::FindVolume(volumes, replica.volume);
      if (volume && volume->state != meta::VolumeState::kOffline) ++good;
    }
    return missing.empty() && good >= file.wishes.copies;
  }
};

Result<std::set<VolumeId>> VolumesNamed(Cluster& cluster, const std::vector<std::string>& names) {
  std::set<VolumeId> volumes;
  for (const std::string& name : names) {
    PXFS_ASSIGN(const meta::VolumeInfo volume, FindVolumeByName(cluster, name));
    volumes.insert(volume.id);
  }
  return volumes;
}

Result<int> Replicate(const Command& command, const Options& options) {
  if (options.copies == 0 && options.volumes.empty())
    return Fail(Code::kInvalid, "say --copies N or --to VOLUME");
  return Change::Run(command, options, [&](Cluster& cluster) -> Result<Change::Apply> {
    PXFS_ASSIGN(const auto volumes, VolumesNamed(cluster, options.volumes));
    return Change::Apply([&options, volumes](const meta::Location&, CopyWishes& wishes) -> Status {
      if (options.copies != 0) wishes.copies = options.copies;
      wishes.volumes.insert(volumes.begin(), volumes.end());
      return {};
    });
  });
}

// To the volumes that are named, or to those that it lies on.
Result<int> Pin(const Command& command, const Options& options) {
  return Change::Run(command, options, [&](Cluster& cluster) -> Result<Change::Apply> {
    PXFS_ASSIGN(const auto volumes, VolumesNamed(cluster, options.volumes));
    return Change::Apply([volumes](const meta::Location& file, CopyWishes& wishes) -> Status {
      wishes.volumes.insert(volumes.begin(), volumes.end());
      if (!volumes.empty()) return {};
      for (const meta::Replica& replica : file.replicas)
        if (replica.state == meta::ReplicaState::kCurrent) wishes.volumes.insert(replica.volume);
      return {};
    });
  });
}

Result<int> Unpin(const Command& command, const Options& options) {
  return Change::Run(command, options, [&](Cluster& cluster) -> Result<Change::Apply> {
    PXFS_ASSIGN(const auto volumes, VolumesNamed(cluster, options.volumes));
    return Change::Apply([volumes](const meta::Location&, CopyWishes& wishes) -> Status {
      if (volumes.empty()) wishes.volumes.clear();
      for (const VolumeId volume : volumes) wishes.volumes.erase(volume);
      return {};
    });
  });
}

// Nothing that the file asks for itself any more: what its policy does not ask for either goes.
Result<int> Evict(const Command& command, const Options& options) {
  return Change::Run(command, options, [](Cluster&) -> Result<Change::Apply> {
    return Change::Apply([](const meta::Location&, CopyWishes& wishes) -> Status {
      wishes = {};
      return {};
    });
  });
}

using Verb = Result<int> (*)(const Command&, const Options&);

std::shared_ptr<Options> Add(CLI::App& app, Command& command, const char* name,
                             const char* description, Verb run, CLI::App** verb) {
  auto options = std::make_shared<Options>();
  *verb = AddVerb(app, command, name, description,
                  [&command, options, run] { return run(command, *options); });
  (*verb)->add_option("PATH", options->path, "A path inside a mount, or pxfs:/PATH")->required();
  (*verb)->add_flag("-r,--recursive", options->recursive, "Every file below a directory");
  return options;
}

}  // namespace

void AddWishVerbs(CLI::App& app, Command& command) {
  CLI::App* verb = nullptr;
  auto replicate =
      Add(app, command, "replicate", "Give a file more copies, and keep them", Replicate, &verb);
  verb->add_option("--copies", replicate->copies, "At least so many, whatever its policy says")
      ->check(CLI::PositiveNumber);
  verb->add_option("--to", replicate->volumes, "One on this volume (repeatable)");
  verb->add_flag("--wait", replicate->wait, "Return once the copies are there");

  auto pin =
      Add(app, command, "pin", "Keep a copy of a file where it lies, or on a volume", Pin, &verb);
  verb->add_option("--to", pin->volumes, "This volume rather than those that it lies on");
  verb->add_flag("--wait", pin->wait, "Return once the copies are there");

  auto unpin =
      Add(app, command, "unpin", "Its copies may go again where they were pinned", Unpin, &verb);
  verb->add_option("--from", unpin->volumes, "Only this volume");

  Add(app, command, "evict",
      "Forget what was asked for by replicate and pin: copies that the policy does not ask for go, "
      "never the last one that can be reached",
      Evict, &verb);
}

}  // namespace pxfs::cli
