#include "cli/ingest/publish.h"

namespace pxfs::cli {

std::vector<bool> Publish(IngestJob& job, std::span<const meta::TreeNode> nodes) {
  std::vector<bool> added(nodes.size(), false);
  if (nodes.empty()) return added;
  const auto add = [&](std::span<const meta::TreeNode> some) {
    return job.cluster.metadata().AddTree(job.ctx, job.destination.directory, some,
                                          meta::IfExists::kMerge);
  };
  Status done = add(nodes);
  if (done) {
    added.assign(nodes.size(), true);
    return added;
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes.size() > 1) done = add(nodes.subspan(i, 1));
    added[i] = done.has_value();
    if (done) continue;
    if (IsFatal(done.error())) {
      job.Abort(done.error());
      return added;
    }
    const std::string path = job.destination.FullPath(nodes[i].path);
    job.problems.Add(
        done.error() == Code::kExists
            ? path + ": exists already; remove it, or use --resume where it is the same file"
            : path + ": " + std::string(Describe(done.error().code())));
  }
  return added;
}

}  // namespace pxfs::cli
