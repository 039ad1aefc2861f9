// --split: gives each task the part of the inputs that lies together, so that it can be read where
// it lies.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/service.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

struct InputFile {
  uint32_t input = 0;  // index in JobSpec.inputs
  std::string path;    // relative to it
  uint64_t size_bytes = 0;
  VolumeId volume;  // of the primary; 0: none
};

// Every regular file of the inputs that the submitter can find, in the order of their paths.
Result<std::vector<InputFile>> ListInputFiles(meta::MetadataService& metadata,
                                              const meta::CallContext& user,
                                              const proto::JobSpec& spec);

// At least one plan, and no empty one unless there are no files at all. Depends on nothing but its
// arguments. kInvalid: more tasks than allowed.
Result<std::vector<proto::TaskPlan>> SplitInputs(const std::vector<InputFile>& files,
                                                 proto::Split split, uint32_t count);

}  // namespace pxfs::jobs
