#include "cli/fsck/fsck.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "base/bytes.h"
#include "cli/fsck/rebuild.h"
#include "cli/output.h"
#include "cli/paths.h"
#include "cli/verbs/verbs.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

// As fsck(8) has them.
constexpr int kClean = 0, kCorrected = 1, kLeft = 4, kOperational = 8;

using Findings = std::vector<meta::Finding>;

std::string Line(const meta::Finding& finding, bool repair) {
  std::string line = std::string(ToString(finding.kind)) + ": ";
  if (!finding.path.empty()) line += finding.path + ": ";
  line += finding.Text();
  if (repair) line += finding.repaired ? ": repaired" : ": NOT repaired";
  return OneLine(line);
}

nlohmann::json Json(const meta::Finding& finding) {
  nlohmann::json json = {{"kind", ToString(finding.kind)},
                         {"inode", finding.inode.value},
                         {"volume", finding.volume.value},
                         {"what", finding.what},
                         {"repaired", finding.repaired}};
  volumes::SetText(json, "path", finding.path);
  return json;
}

Result<int> Fsck(const Command& command, bool repair) {
  const auto check = [&]() -> Result<Findings> {
    PXFS_ASSIGN(const std::string directory, FindCluster(command.cluster));
    PXFS_ASSIGN(const ClusterIdentity identity, ReadIdentity(directory));
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(command.lock_wait_seconds));
    return CheckCluster(identity, {repair, wait});
  };
  const Result<Findings> findings = check();
  if (!findings) {
    PrintError(command.verb, findings.error().message());
    return kOperational;
  }
  const auto repaired = std::count_if(findings->begin(), findings->end(),
                                      [](const auto& finding) { return finding.repaired; });
  const auto found = static_cast<std::ptrdiff_t>(findings->size());
  const int status = found == 0 ? kClean : repaired == found ? kCorrected : kLeft;
  if (command.json) {
    nlohmann::json json = {
        {"status", status}, {"repaired", repaired}, {"findings", nlohmann::json::array()}};
    for (const meta::Finding& finding : *findings) json["findings"].push_back(Json(finding));
    PrintJson(json);
    return status;
  }
  for (const meta::Finding& finding : *findings) std::printf("%s\n", Line(finding, repair).c_str());
  if (found == 0)
    std::printf("clean\n");
  else if (repair)
    std::printf("%s, %td repaired\n", Count(found, "problem").c_str(), repaired);
  else
    std::printf("%s; pxfs fsck --repair mends what can be mended\n",
                Count(found, "problem").c_str());
  return status;
}

std::string Time(int64_t seconds) {
  const time_t time = seconds;
  struct tm local;
  ::localtime_r(&time, &local);
  char text[64];
  ::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

void PrintReport(const RebuildReport& report, bool dry_run) {
  std::printf("cluster %s (%s)%s %s, from %s\n", OneLine(report.cluster_name).c_str(),
              report.cluster_uuid.c_str(), dry_run ? " would be rebuilt at" : " rebuilt at",
              OneLine(report.directory).c_str(), Count(report.volumes, "volume").c_str());
  if (report.copy.empty())
    std::printf("no copy of the metadata: names come from the objects alone\n");
  else
    std::printf("metadata of %s in %s: %s with content, %s of them changed since\n",
                Time(report.copy_made_seconds).c_str(), OneLine(report.copy).c_str(),
                Count(report.files, "file").c_str(), std::to_string(report.updated).c_str());
  std::printf("%s found by path (%s under another name), %s in /lost+found\n",
              Count(report.found_by_path, "more file").c_str(),
              std::to_string(report.conflicts).c_str(),
              std::to_string(report.lost_and_found).c_str());
  for (const std::string& path : report.lost)
    std::printf("no content, lost or removed since: %s\n", OneLine(path).c_str());
  for (const std::string& problem : report.problems)
    std::printf("problem: %s\n", OneLine(problem).c_str());
  if (!report.replaced.empty())
    std::printf("the store that was there is kept as %s\n", OneLine(report.replaced).c_str());
}

nlohmann::json ReportJson(const RebuildReport& report, int status) {
  nlohmann::json json = {{"status", status},
                         {"cluster", report.cluster_uuid},
                         {"copy_made", report.copy_made_seconds},
                         {"volumes", report.volumes},
                         {"files", report.files},
                         {"updated", report.updated},
                         {"found_by_path", report.found_by_path},
                         {"conflicts", report.conflicts},
                         {"lost_and_found", report.lost_and_found},
                         {"lost", nlohmann::json::array()},
                         {"problems", nlohmann::json::array()}};
  volumes::SetText(json, "directory", report.directory);
  volumes::SetText(json, "copy", report.copy);
  volumes::SetText(json, "replaced", report.replaced);
  for (const std::string& path : report.lost) {
    nlohmann::json file;
    volumes::SetText(file, "path", path);
    json["lost"].push_back(std::move(file));
  }
  for (const std::string& problem : report.problems) json["problems"].push_back(OneLine(problem));
  return json;
}

Result<int> Rebuild(const Command& command, const RebuildOptions& options) {
  const auto report = RebuildCluster(options);
  if (!report) {
    PrintError(command.verb, report.error().message());
    return kOperational;
  }
  const int status = report->lost.empty() && report->problems.empty() ? kCorrected : kLeft;
  if (command.json)
    PrintJson(ReportJson(*report, status));
  else
    PrintReport(*report, options.dry_run);
  return status;
}

struct Options {
  bool repair = false, rebuild = false;
  RebuildOptions rebuild_options;
};

}  // namespace

void AddFsck(CLI::App& app, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = AddVerb(app, command, "fsck",
                           "Check a cluster that nobody serves: metadata, and objects on volumes. "
                           "Status: 0 clean, 1 all repaired, 4 problems left, 8 could not check",
                           [&command, options]() -> Result<int> {
                             if (!options->rebuild) return Fsck(command, options->repair);
                             options->rebuild_options.directory = command.cluster;
                             return Rebuild(command, options->rebuild_options);
                           });
  CLI::Option* repair =
      verb->add_flag("--repair", options->repair,
                     "Mend what is found; what has lost its name goes to /lost+found");
  CLI::Option* rebuild =
      verb->add_flag("--rebuild", options->rebuild,
                     "Make the metadata of --cluster anew from the volumes; a store that is there "
                     "is kept under another name");
  rebuild->excludes(repair);
  CLI::Option* volume =
      verb->add_option("--volume", options->rebuild_options.volumes,
                       "With --rebuild: the root of a volume (one is enough while the others are "
                       "where they were)")
          ->needs(rebuild);
  rebuild->needs(volume);
  verb->add_flag("--dry-run", options->rebuild_options.dry_run,
                 "With --rebuild: say what would be found, and change nothing")
      ->needs(rebuild);
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
