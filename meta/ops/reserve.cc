#include <algorithm>

#include "base/hash.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/placement.h"

namespace pxfs::meta {
namespace {

// What `colocate` hashes: the directory that the path will lie in, which need not exist yet.
InodeId DirectoryOf(InodeId directory, std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return directory;
  return InodeId(Hash64(path.substr(0, slash), directory.value));
}

}  // namespace

Result<std::vector<ReservedObject>> LocalService::Reserve(const CallContext& ctx, InodeId directory,
                                                          std::span<const ReserveItem> items) {
  PXFS_TRY(sessions_.Require(ctx.session));
  std::vector<ReservedObject> objects;
  if (items.empty()) return objects;
  PXFS_ASSIGN(const PolicyView policy, policies_.View(directory));
  PXFS_ASSIGN(InodeId inode, store_->NewInodes(items.size()));
  std::vector<VolumeInfo> volumes = *volumes_.Current();
  for (const ReserveItem& item : items) {
    ReservedObject object{inode, item.volume, 1};
    if (!object.volume) {
      PlacementRequest request;
      request.policy = policy.effective;
      request.inode = inode;
      request.directory = DirectoryOf(directory, item.path);
      request.size_bytes = item.size_bytes;
      PXFS_ASSIGN(object.volume, ChooseVolume(request, volumes));
    }
    const auto volume = std::find_if(volumes.begin(), volumes.end(),
                                     [&](const VolumeInfo& v) { return v.id == object.volume; });
    if (volume == volumes.end())
      return Fail(Code::kNotFound, "no volume " + std::to_string(object.volume.value));
    // The rest of this call counts on what is left.
    volume->free_bytes -= std::min(volume->free_bytes, item.size_bytes);
    objects.push_back(object);
    ++inode.value;
  }
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_TRY(tx.RoomToGrow());
    for (const ReservedObject& object : objects)
      tx.Put(keys::Reservation(ctx.session, object.inode),
             Encode(ReservationRecord{false, object.volume, object.object_generation}));
    return {};
  }));
  return objects;
}

}  // namespace pxfs::meta
