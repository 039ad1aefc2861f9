#include "jobs/split.h"

#include <algorithm>
#include <tuple>

#include "jobs/input_walk.h"
#include "jobs/spec.h"

namespace pxfs::jobs {
namespace {

// What a file costs a task besides its bytes, so that many small files spread as well.
constexpr uint64_t kWeightOfAFile = 16 << 10;

// The files of one task, in the order of their paths.
proto::TaskPlan MakePlan(std::vector<const InputFile*> files) {
  std::sort(files.begin(), files.end(), [](const InputFile* a, const InputFile* b) {
    return std::tie(a->input, a->path) < std::tie(b->input, b->path);
  });
  proto::TaskPlan plan;
  for (const InputFile* file : files) {
    if (plan.parts_size() == 0 || plan.parts(plan.parts_size() - 1).input() != file->input) {
      plan.add_parts()->set_input(file->input);
    }
    plan.mutable_parts(plan.parts_size() - 1)->add_files(file->path);
  }
  return plan;
}

std::vector<const InputFile*> ByVolume(const std::vector<InputFile>& files) {
  std::vector<const InputFile*> ordered;
  for (const auto& file : files) ordered.push_back(&file);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const InputFile* a, const InputFile* b) { return a->volume < b->volume; });
  return ordered;
}

std::vector<proto::TaskPlan> OnePerVolume(const std::vector<InputFile>& files) {
  std::vector<proto::TaskPlan> plans;
  std::vector<const InputFile*> group;
  for (const InputFile* file : ByVolume(files)) {
    if (!group.empty() && group.back()->volume != file->volume) {
      plans.push_back(MakePlan(std::move(group)));
      group.clear();
    }
    group.push_back(file);
  }
  if (!group.empty()) plans.push_back(MakePlan(std::move(group)));
  return plans;
}

// Cuts the files, volume after volume, into `count` runs of about the same weight.
std::vector<proto::TaskPlan> IntoRuns(const std::vector<InputFile>& files, size_t count) {
  count = std::min(count, files.size());
  uint64_t weight_left = 0;
  for (const auto& file : files) weight_left += file.size_bytes + kWeightOfAFile;
  const auto ordered = ByVolume(files);
  std::vector<proto::TaskPlan> plans;
  size_t next = 0;
  for (size_t runs_left = count; runs_left > 0; --runs_left) {
    const uint64_t fair_share = weight_left / runs_left;
    // Every later run keeps at least one file.
    const size_t last = ordered.size() - (runs_left - 1);
    std::vector<const InputFile*> group;
    uint64_t weight = 0;
    while (next < last && (group.empty() || runs_left == 1 || weight < fair_share)) {
      weight += ordered[next]->size_bytes + kWeightOfAFile;
      group.push_back(ordered[next++]);
    }
    weight_left -= weight;
    plans.push_back(MakePlan(std::move(group)));
  }
  return plans;
}

}  // namespace

Result<std::vector<InputFile>> ListInputFiles(meta::MetadataService& metadata,
                                              const meta::CallContext& user,
                                              const proto::JobSpec& spec) {
  std::vector<InputFile> files;
  for (int i = 0; i < spec.inputs_size(); ++i) {
    const auto add = [&](const InputEntry& entry) -> Status {
      if (!entry.attr.is_regular()) return {};
      const auto location = metadata.Locate(user, entry.attr.inode);
      if (!location) {
        return location.error() == Code::kNotFound ? Status{} : Status{Fail(location.error())};
      }
      const VolumeId volume =
          location->replicas.empty() ? VolumeId{} : location->replicas.front().volume;
      files.push_back({static_cast<uint32_t>(i), entry.path, entry.attr.size_bytes, volume});
      return {};
    };
    PXFS_TRY(WalkInput(metadata, user, spec.inputs(i), add));
  }
  std::sort(files.begin(), files.end(), [](const InputFile& a, const InputFile& b) {
    return std::tie(a.input, a.path) < std::tie(b.input, b.path);
  });
  return files;
}

Result<std::vector<proto::TaskPlan>> SplitInputs(const std::vector<InputFile>& files,
                                                 proto::Split split, uint32_t count) {
  std::vector<proto::TaskPlan> plans;
  switch (split) {
    case proto::SPLIT_FILES:
      if (files.size() > kMaxTasks) {
        return Fail(Code::kInvalid, "--split files would make " + std::to_string(files.size()) +
                                        " tasks; at most " + std::to_string(kMaxTasks) +
                                        " are allowed, use --split N");
      }
      plans = IntoRuns(files, files.size());
      break;
    case proto::SPLIT_VOLUMES:
      plans = OnePerVolume(files);
      break;
    case proto::SPLIT_COUNT:
      plans = IntoRuns(files, count);
      break;
    default:
      return Fail(Code::kInvalid, "the job is not split");
  }
  if (plans.empty()) plans.emplace_back();
  return plans;
}

}  // namespace pxfs::jobs
