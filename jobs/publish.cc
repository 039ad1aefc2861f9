#include "jobs/publish.h"

#include <algorithm>
#include <set>

#include "base/logging.h"
#include "jobs/input_walk.h"
#include "jobs/staged_tree.h"
#include "jobs/staging.h"

namespace pxfs::jobs {
namespace {

constexpr size_t kNodesACall = 1000;

// Object numbers for the regular files among `nodes`, with each file linked into place.
class Publication {
 public:
  Publication(meta::MetadataService& metadata, const meta::CallContext& service,
              const volumes::VolumeSet& volumes)
      : metadata_(metadata), service_(service), volumes_(volumes) {}

  Status AddNodes(InodeId directory, std::span<const StagedNode> staged) {
    std::vector<meta::TreeNode> nodes;
    std::vector<meta::ReserveItem> wanted;
    std::vector<size_t> files;  // indexes in `staged`, as in `wanted`
    for (const auto& item : staged) {
      if (S_ISREG(item.node.mode) && item.node.hard_link_to.empty()) {
        files.push_back(nodes.size());
        wanted.push_back({item.node.path, item.node.size_bytes, item.volume});
      }
      nodes.push_back(item.node);
    }
    if (!wanted.empty()) {
      PXFS_ASSIGN(const auto reserved, metadata_.Reserve(service_, directory, wanted));
      for (size_t i = 0; i < files.size(); ++i) {
        PXFS_TRY(PlaceObject(staged[files[i]], reserved[i]));
        nodes[files[i]].object = reserved[i];
      }
    }
    return metadata_.AddTree(service_, directory, nodes, meta::IfExists::kFail);
  }

  // Everything placed survives power loss.
  Status SyncVolumes() const {
    for (const VolumeId id : used_) {
      PXFS_ASSIGN(const auto volume, volumes_.Require(id));
      PXFS_TRY(volume->Sync());
    }
    return {};
  }

 private:
  Status PlaceObject(const StagedNode& staged, const meta::ReservedObject& reserved) {
    PXFS_ASSIGN(const auto volume, volumes_.Require(staged.volume));
    used_.insert(staged.volume);
    return volume->AdoptByLink(volume->root_fd(), staged.path_on_volume,
                               {reserved.inode, reserved.object_generation});
  }

  meta::MetadataService& metadata_;
  const meta::CallContext& service_;
  const volumes::VolumeSet& volumes_;
  std::set<VolumeId> used_;
};

struct Target {
  std::string parent, name;
};

Target SplitPath(const std::string& path) {
  const size_t slash = path.rfind('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Status FillAndAttach(meta::MetadataService& metadata, const meta::CallContext& service,
                     const volumes::VolumeSet& volumes, const PublishRequest& request,
                     const StagedTree& tree, InodeId directory) {
  Publication publication(metadata, service, volumes);
  const std::span<const StagedNode> nodes = tree.nodes();
  for (size_t begin = 0; begin < nodes.size(); begin += kNodesACall) {
    PXFS_TRY(publication.AddNodes(
        directory, nodes.subspan(begin, std::min(kNodesACall, nodes.size() - begin))));
  }
  PXFS_TRY(publication.SyncVolumes());
  if (request.copies != 0) {
    meta::Policy policy;
    policy.copies = request.copies;
    PXFS_TRY(metadata.SetPolicy(service, directory, policy));
  }
  const Target target = SplitPath(request.output);
  const meta::CallContext user = UserContext(service.session, request.user);
  PXFS_ASSIGN(const auto parent, metadata.Resolve(user, kRootInode, target.parent, true));
  PXFS_TRY(metadata.Attach(user, directory, parent.inode, target.name, request.records));
  return metadata.Sync();
}

}  // namespace

Status Publish(meta::MetadataService& metadata, SessionId session,
               const volumes::VolumeSet& volumes, const PublishRequest& request) {
  StagedTree tree;
  for (const auto& task : request.tasks) {
    PXFS_ASSIGN(const auto volume, volumes.Require(task.volume));
    PXFS_TRY(tree.Add(*volume, task.key));
  }
  meta::CallContext service;
  service.session = session;
  service.uid = request.user.uid();
  service.gid = request.user.gid();
  PXFS_ASSIGN(const InodeId directory, metadata.CreateDetached(service, 0755));
  auto attached = FillAndAttach(metadata, service, volumes, request, tree, directory);
  if (!attached) {
    // Should this fail too, the end of the session discards.
    if (auto gone = metadata.Discard(service, std::span(&directory, 1)); !gone) {
      log::warn("cannot discard an unpublished result: {}", gone.error().message());
    }
    return Fail(attached.error().WithContext("output '" + request.output + "'"));
  }
  return {};
}

Status CountStaged(const volumes::VolumeSet& volumes, const StagedTask& task,
                   proto::Routes& routes) {
  PXFS_ASSIGN(const auto volume, volumes.Require(task.volume));
  StagedTree tree;
  PXFS_TRY(tree.Add(*volume, task.key));
  for (const auto& staged : tree.nodes()) {
    if (!S_ISREG(staged.node.mode) || !staged.node.hard_link_to.empty()) continue;
    routes.set_output_files(routes.output_files() + 1);
    routes.set_output_bytes(routes.output_bytes() + staged.node.size_bytes);
  }
  return {};
}

}  // namespace pxfs::jobs
