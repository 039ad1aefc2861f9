#include "cli/ingest/ingest.h"

#include <thread>

#include "cli/ingest/bounded_queue.h"
#include "cli/ingest/destination.h"
#include "cli/ingest/history.h"
#include "cli/ingest/job.h"
#include "cli/ingest/late_work.h"
#include "cli/ingest/publish.h"
#include "cli/ingest/store_batch.h"
#include "cli/ingest/walker.h"
#include "cli/paths.h"
#include "cli/session.h"
#include "meta/placement.h"
#include "volumes/maintenance.h"

namespace pxfs::cli {
namespace {

// Several sources go into a directory that is not there yet: an ordinary one, of root.
Status MakeDirectory(IngestJob& job, const std::string& name) {
  meta::NewNode node;
  node.mode = S_IFDIR | 0755;
  PXFS_TRY(job.cluster.metadata().MakeNode(job.ctx, job.destination.directory, name, node));
  return {};
}

LateWork BringIn(IngestJob& job, const std::vector<Root>& roots) {
  const unsigned threads = std::max(1u, job.options.threads);
  BoundedQueue<Batch> queue(2 * threads);
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < threads; ++i)
    workers.emplace_back([&] {
      while (const std::optional<Batch> batch = queue.Pop()) {
        if (!job.Stopping()) StoreBatch(job, *batch);
      }
    });
  LateWork late =
      WalkSources(job, roots, [&](Batch batch) { return queue.Push(std::move(batch)); });
  queue.Close();
  for (std::thread& worker : workers) worker.join();
  return late;
}

Status CheckOptions(Cluster& cluster, const IngestOptions& options) {
  if (!options.policy) return {};
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> volumes, cluster.metadata().ListVolumes());
  PXFS_TRY(meta::CheckPolicy(*options.policy, volumes));
  for (const std::string& source : options.sources) {
    struct stat st;
    if (::lstat(source.c_str(), &st) == 0 && !S_ISDIR(st.st_mode))
      return Fail(Code::kNotDirectory,
                  source + ": --policy is for directories; files follow the policy of theirs");
  }
  return {};
}

}  // namespace

Status Ingest(Cluster& cluster, const IngestOptions& options, IngestCounters& counters,
              Problems& problems) {
  PXFS_TRY(CheckOptions(cluster, options));
  // Where nobody serves the cluster, nobody else reports space and reclaims objects meanwhile.
  std::optional<volumes::Maintenance> maintenance;
  if (cluster.embedded()) maintenance.emplace(cluster.metadata(), cluster.volumes());
  PXFS_ASSIGN(const Session session, Session::Open(cluster.metadata(), "pxfs ingest"));
  IngestJob job(cluster, options, counters, problems);
  job.ctx.session = session.id();
  PXFS_ASSIGN(const std::vector<MadeDirectory> history, LoadHistory(cluster, job.ctx));
  PXFS_ASSIGN(Destinations destinations, FindDestinations(cluster, job.ctx, options, history));
  job.destination = destinations.base;
  if (!destinations.directory_to_make.empty())
    PXFS_TRY(MakeDirectory(job, destinations.directory_to_make));

  MadeDirectory made{destinations.made_of_source, "", InodeId()};
  if (!made.path.empty()) {
    PXFS_ASSIGN(made.source, CanonicalPath(options.sources.front()));
    PXFS_TRY(Remember(cluster, made));
  }
  const LateWork late = BringIn(job, destinations.roots);
  AddLinks(job, late.links);
  SetDirectoryTimes(job, late.directories);
  PXFS_TRY(job.Outcome());
  if (!made.path.empty()) {
    if (const auto attr = cluster.metadata().Resolve(job.ctx, kRootInode, made.path, true)) {
      made.inode = attr->inode;
      PXFS_TRY(Remember(cluster, made));
    }
  }
  PXFS_TRY(MakeDurable(job));
  if (options.move) RemoveSources(job, late.source_directories);
  return {};
}

}  // namespace pxfs::cli
