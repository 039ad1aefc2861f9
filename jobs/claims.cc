#include "jobs/claims.h"

#include <set>

#include "jobs/spec.h"

namespace pxfs::jobs {
namespace {

// The output that the job still claims; empty: none.
const std::string& ClaimedOutput(const Job& job) {
  static const std::string kNone;
  return IsEnded(job.record.state()) ? kNone : job.record.spec().output();
}

}  // namespace

Status CheckOutputFree(const std::map<uint64_t, Job>& jobs, const std::string& output) {
  for (const auto& [id, job] : jobs) {
    const std::string& claimed = ClaimedOutput(job);
    if (claimed.empty()) continue;
    if (IsAtOrBelow(output, claimed) || IsAtOrBelow(claimed, output)) {
      return Fail(Code::kExists, "output '" + output + "' is claimed by job " + std::to_string(id) +
                                     ", which writes '" + claimed +
                                     "'; wait for it or choose another");
    }
  }
  return {};
}

uint64_t ProducerOf(const std::map<uint64_t, Job>& jobs, const std::string& input) {
  for (const auto& [id, job] : jobs) {
    const std::string& claimed = ClaimedOutput(job);
    if (!claimed.empty() && IsAtOrBelow(input, claimed)) return id;
  }
  return 0;
}

std::vector<uint64_t> Producers(const std::map<uint64_t, Job>& jobs, const proto::JobSpec& spec) {
  std::set<uint64_t> producers;
  for (const auto& input : spec.inputs()) {
    if (const uint64_t id = ProducerOf(jobs, input)) producers.insert(id);
  }
  return {producers.begin(), producers.end()};
}

}  // namespace pxfs::jobs
