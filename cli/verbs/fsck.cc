#include "cli/fsck/fsck.h"

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
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

}  // namespace

void AddFsck(CLI::App& app, Command& command) {
  auto repair = std::make_shared<bool>(false);
  CLI::App* verb = AddVerb(app, command, "fsck",
                           "Check a cluster that nobody serves: metadata, and objects on volumes. "
                           "Status: 0 clean, 1 all repaired, 4 problems left, 8 could not check",
                           [&command, repair] { return Fsck(command, *repair); });
  verb->add_flag("--repair", *repair,
                 "Mend what is found; what has lost its name goes to /lost+found");
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
