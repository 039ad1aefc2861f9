// Claims of unfinished jobs: inputs are shared, an output is exclusive. Pure functions of the jobs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/record.h"

namespace pxfs::jobs {

// kExists when an unfinished job claims the path, one above it or one below it as its output; names
// the job.
Status CheckOutputFree(const std::map<uint64_t, Job>& jobs, const std::string& output);

// The unfinished jobs that write any of these inputs (the path itself or a directory above it), in
// order.
std::vector<uint64_t> Producers(const std::map<uint64_t, Job>& jobs, const proto::JobSpec& spec);
// The same for one path; 0: none.
uint64_t ProducerOf(const std::map<uint64_t, Job>& jobs, const std::string& input);

}  // namespace pxfs::jobs
