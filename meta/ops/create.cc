#include "meta/access.h"
#include "meta/content.h"
#include "meta/local_service_impl.h"
#include "meta/names.h"
#include "meta/new_inode.h"
#include "meta/placement.h"

namespace pxfs::meta {

Result<Location> LocalService::LocateUnchecked(InodeId inode) {
  PXFS_ASSIGN(const InodePtr record, store_->GetInode(inode));
  return ByPolicy(LocationOf(*record));
}

Result<Replica> LocalService::PlaceFile(InodeId directory, InodeId inode, uint64_t size_bytes) {
  PXFS_ASSIGN(PolicyView policy, policies_.View(directory));
  PlacementRequest request;
  request.policy = std::move(policy.effective);
  request.inode = inode;
  request.directory = directory;
  request.size_bytes = size_bytes;
  const VolumeTable::Snapshot volumes = volumes_.Current();
  Replica replica;
  PXFS_ASSIGN(replica.volume, ChooseVolume(request, *volumes));
  replica.object_generation = 1;
  replica.generation = 1;
  replica.primary = true;
  return replica;
}

Result<Location> LocalService::Create(const CallContext& ctx, InodeId parent, std::string_view name,
                                      const NewNode& node) {
  if (!S_ISREG(node.mode)) return Fail(Code::kInvalid, "only regular files are created open");
  PXFS_TRY(sessions_.Require(ctx.session));
  if (name.empty()) return CreateNameless(ctx, parent, node);
  PXFS_TRY(CheckName(name));
  const RequestKey request(ctx, Operation::kCreate, parent, name);
  if (const auto done = repetitions_.Find(request)) return LocateUnchecked(done->inode);
  InodeId inode;
  auto created = store_->Run([&](Transaction& tx) -> Result<Location> {
    PXFS_ASSIGN(InodeRecord * directory, EnterForNew(tx, ctx, parent, name));
    if (!inode) {
      PXFS_ASSIGN(inode, store_->NewInodes());
    }
    PXFS_ASSIGN(Replica replica, PlaceFile(parent, inode, 0));
    const Timestamp now = store_->Now();
    PXFS_ASSIGN(InodeRecord * child, MakeInode(tx, ctx, *directory, node, inode, now));
    child->attr.generation = replica.generation;
    child->replicas.push_back(replica);
    RecordWriter(tx, *child, ctx.session);
    PXFS_TRY(AddName(tx, *directory, name, *child, now));
    Repetitions::Record(tx, request, inode);
    return LocationOf(*child);
  });
  if (!created) return created;
  Notices notices(sessions_, ctx.session);
  notices.Entry(parent, name);
  notices.Attr(parent);
  notices.Send();
  return ByPolicy(std::move(created));
}

Result<Location> LocalService::CreateNameless(const CallContext& ctx, InodeId parent,
                                              const NewNode& node) {
  const RequestKey request(ctx, Operation::kCreate, parent);
  if (const auto done = repetitions_.Find(request)) return LocateUnchecked(done->inode);
  InodeId inode;
  return ByPolicy(store_->Run([&](Transaction& tx) -> Result<Location> {
    PXFS_ASSIGN(const InodePtr directory, EnterDirectory(tx, ctx, parent));
    PXFS_TRY(CheckAccess(tx, ctx, *directory, kMayWrite));
    PXFS_TRY(CheckNotImmutable(*directory));
    PXFS_TRY(tx.RoomToGrow());
    if (!inode) {
      PXFS_ASSIGN(inode, store_->NewInodes());
    }
    PXFS_ASSIGN(Replica replica, PlaceFile(parent, inode, 0));
    PXFS_ASSIGN(InodeRecord * child, MakeInode(tx, ctx, *directory, node, inode, store_->Now()));
    child->attr.generation = replica.generation;
    child->replicas.push_back(replica);
    RecordWriter(tx, *child, ctx.session);
    PXFS_TRY(orphans_.AdmitNameless(tx, inode, ctx.session));
    Repetitions::Record(tx, request, inode);
    return LocationOf(*child);
  }));
}

}  // namespace pxfs::meta
