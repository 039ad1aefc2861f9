#include "cli/job_counts.h"

#include <unistd.h>

#include "jobs/client.h"
#include "jobs/record.h"

namespace pxfs::cli {
namespace {

constexpr uint32_t kPage = 1000;

using Counts = std::map<std::string, uint64_t>;

Counts NoJobs() {
  Counts counts;
  for (int state = jobs::proto::JobState_MIN + 1; state <= jobs::proto::JobState_MAX; ++state) {
    if (jobs::proto::JobState_IsValid(state))
      counts[jobs::Name(static_cast<jobs::proto::JobState>(state))] = 0;
  }
  return counts;
}

Result<Counts> CountShown(const std::string& cluster_directory) {
  Counts counts = NoJobs();
  PXFS_ASSIGN(jobs::Client client, jobs::Client::Connect(cluster_directory));
  jobs::proto::ListRequest request;
  request.set_finished(true);
  request.set_all_users(true);
  request.set_limit(kPage);
  for (;;) {
    PXFS_ASSIGN(const jobs::proto::ListReply reply, client.List(request));
    for (const jobs::proto::JobRecord& job : reply.jobs()) {
      ++counts[jobs::Name(job.state())];
      request.set_after(job.id());
    }
    if (reply.end() || reply.jobs().empty()) return counts;
  }
}

}  // namespace

Result<std::map<std::string, uint64_t>> CountJobs(Cluster& cluster) {
  if (::geteuid() != 0) return CountShown(cluster.identity().directory);
  Counts counts = NoJobs();
  PXFS_ASSIGN(const jobs::RecordStore::Loaded loaded, jobs::RecordStore(cluster.metadata()).Load());
  for (const auto& [id, job] : loaded.jobs) ++counts[jobs::Name(job.record.state())];
  return counts;
}

}  // namespace pxfs::cli
