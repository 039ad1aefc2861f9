// Which object an open file has, and how it is read and written.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/logging.h"
#include "fs/open_table.h"
#include "volumes/returned_volume.h"

namespace pxfs::fs {

std::vector<const meta::Replica*> OpenTable::Usable(const meta::Location& location,
                                                    bool writable) const {
  std::vector<const meta::Replica*> usable = env_.volumes->Readable(location);
  if (writable) std::erase_if(usable, [](const meta::Replica* r) { return !r->primary; });
  return usable;
}

// Opens the object that `location` names and makes it the backing of the inode, where passthrough
// is possible.
Status OpenTable::BindObject(OpenFile& file, const meta::Location& location, Binding& binding) {
  const auto usable = Usable(location, binding.writable);
  if (usable.empty()) {
    if (location.replicas.empty()) return Fail(Code::kCorruption, "inode has no replica");
    const meta::Replica& primary = location.replicas.front();
    if (primary.state == meta::ReplicaState::kMissing)
      return Fail(Code::kUnavailable,
                  "its only copy was lost with the volume " + env_.volumes->NameOf(primary.volume));
    auto volume = env_.volumes->Require(primary.volume);
    return volume ? Fail(Code::kUnavailable, "no current replica") : Fail(volume.error());
  }
  Status bound;
  for (const meta::Replica* replica : usable) {
    bound = BindReplica(file, location, *replica, binding);
    if (bound) break;
    if (usable.size() > 1)
      log::warn("inode {} on volume {}: {}; looking at its other copies", file.inode.value,
                replica->volume.value, bound.error().message());
  }
  return bound;
}

Status OpenTable::BindReplica(OpenFile& file, const meta::Location& location,
                              const meta::Replica& replica, Binding& binding) {
  const bool writable = binding.writable;
  file.volume = env_.volumes->Find(replica.volume);
  if (!file.volume) return Fail(Code::kUnavailable, "the volume went offline");
  file.record->volume = replica.volume.value;
  file.record->object_generation = replica.object_generation;
  file.executable = (location.attr.mode & 0111) != 0;
  file.name_durable = false;
  file.Changed();
  file.atime = location.attr.atime;
  file.mtime = location.attr.mtime;
  file.size_bytes = location.attr.size_bytes;
  file.commit_copies = location.commit_copies;
  file.chosen = std::chrono::steady_clock::now();

  const volumes::ObjectOwner owner{location.attr.uid, location.attr.gid,
                                   location.attr.mode & 07777};
  const auto open_object = [&](int flags) {
    if (replica.materialized) return file.volume->OpenObject(file.object(), flags);
    if (binding.created) {
      auto made = file.volume->OpenObject(file.object(), flags | O_CREAT | O_EXCL, &owner);
      // The request is one that an earlier daemon had begun.
      if (made || made.error() != Code::kExists) return made;
    }
    return file.volume->OpenObject(file.object(), flags | O_CREAT, &owner);
  };
  // Prefer a descriptor that can serve later writers too; see 3 in the header for executables.
  const bool try_writable = writable || !file.executable;
  Result<UniqueFd> fd = try_writable ? open_object(O_RDWR) : Fail(Code::kReadOnly);
  const bool fd_writable = fd.has_value();
  if (!fd && !writable &&
      (!try_writable || fd.error() == Code::kReadOnly || fd.error() == Code::kTextBusy)) {
    fd = open_object(O_RDONLY);
  }
  if (!fd)
    return Fail(fd.error().code() == Code::kNotFound ? Error(Code::kIo, "object is missing")
                                                     : fd.error());
  if (!binding.looked_at && env_.volumes->Unsettled(replica.volume)) {
    struct stat st;
    if (::fstat(fd->get(), &st) != 0) return FailErrno(errno, "fstat of an object");
    if (env_.volumes->Doubtful(location.attr, replica, st)) {
      binding.doubtful = true;
      return Fail(Code::kUnavailable, "it is back with what may be an older content");
    }
  }
  Register(file, std::move(*fd), fd_writable, !location.relayed);
  return {};
}

Status OpenTable::LookAtReturned(Turn& file) {
  const auto found = file.Outside(
      [&] { return volumes::SettleReturned(*env_.metadata, *env_.volumes, file->inode); });
  if (!found) return Fail(found.error());
  if (*found != volumes::ReturnedContent::kOlder) return {};
  return Fail(Code::kUnavailable,
              "the volume that holds it is back with what is, or may be, an older content");
}

void OpenTable::Register(OpenFile& file, UniqueFd fd, bool writable, bool passthrough) {
  if (passthrough && env_.transport->capabilities().passthrough) {
    if (auto id = env_.transport->OpenBacking(fd.get())) {
      file.record->backing_writable = writable;
      file.record->backing_id = *id;
      return;  // the kernel holds the file now
    } else {
      log::warn("inode {}: {}; serving it without passthrough", file.inode.value,
                id.error().message());
    }
  }
  descriptors_.Give(file.shared_from_this(), std::move(fd), writable);
}

void OpenTable::Unbind(OpenFile& file) {
  if (file.record->backing_id > 0)
    env_.transport->CloseBacking(std::exchange(file.record->backing_id, 0));
  file.fd.reset();
}

Status OpenTable::BeginReading(const meta::CallContext& ctx, Turn& file) {
  if (file->in_use()) return {};
  if (file->record->backing_id > 0) {
    const auto age = std::chrono::steady_clock::now() - file->chosen;
    const bool here = age < kLookAtVolume || env_.volumes->Find(VolumeId(file->record->volume));
    if (here && age < kChooseAgain) return {};
  }
  // The object that was found may have been moved before it is opened.
  constexpr int kAttempts = 5;
  std::vector<uint64_t> tried;
  Binding binding;
  for (int attempt = 1;; ++attempt) {
    auto location = file.Outside([&] { return env_.metadata->Locate(ctx, file->inode); });
    if (!location) return Fail(location.error());
    if (!location->attr.is_regular()) return Fail(Code::kInvalid, "not a regular file");
    if (file->record->backing_id > 0) {
      file->chosen = std::chrono::steady_clock::now();
      const auto usable = Usable(*location, false);
      if (usable.empty() || (usable.front()->volume.value == file->record->volume &&
                             usable.front()->object_generation == file->record->object_generation))
        return {};
      LearnAtime(file);
      Unbind(*file);
    }
    std::vector<uint64_t> found;
    for (const meta::Replica& replica : location->replicas)
      found.push_back(replica.object_generation);
    auto bound = BindObject(*file, *location, binding);
    if (!bound && binding.doubtful && !binding.looked_at) {
      PXFS_TRY(LookAtReturned(file));
      binding.looked_at = true;
      continue;
    }
    if (bound || attempt == kAttempts || found == tried) return bound;
    tried = std::move(found);
  }
}

Status OpenTable::FollowPrimary(OpenFile& file, const meta::Location& location) {
  const auto usable = Usable(location, true);
  if (!usable.empty() && file.record->volume == usable.front()->volume.value &&
      file.record->object_generation == usable.front()->object_generation)
    return {};
  const uint32_t loads = file.loads;
  EndLoad(file, loads);
  file.fd.reset();
  Binding binding{.writable = true, .looked_at = true};
  PXFS_TRY(BindObject(file, location, binding));
  for (uint32_t left = loads; left > 0; --left) BeginLoad(file);
  return {};
}

Result<std::shared_ptr<UniqueFd>> OpenTable::ReadElsewhere(const meta::CallContext& ctx,
                                                           InodeId inode,
                                                           const std::shared_ptr<UniqueFd>& failed,
                                                           std::vector<VolumeId>& tried) {
  auto turn = TakeTurn(inode);
  if (!turn || !(*turn)->in_use()) return Fail(Code::kStale);
  Turn& file = *turn;
  if (file->fd && file->fd != failed) return file->fd;  // somebody else has looked already
  // Who writes has the primary, and what the kernel reads itself is not for us to exchange.
  if (file->written() || file->record->backing_id > 0) return Fail(Code::kIo, "reading an object");
  if (failed) tried.push_back(VolumeId(file->record->volume));
  auto location = file.Outside([&] { return env_.metadata->Locate(ctx, inode); });
  if (!location) return Fail(location.error());
  for (const meta::Replica* replica : env_.volumes->Readable(*location)) {
    if (std::find(tried.begin(), tried.end(), replica->volume) != tried.end()) continue;
    const auto volume = env_.volumes->Find(replica->volume);
    if (!volume) continue;
    auto fd = volume->OpenObject({inode, replica->object_generation}, O_RDONLY);
    if (!fd) {
      tried.push_back(replica->volume);
      continue;
    }
    struct stat st;
    if (::fstat(fd->get(), &st) != 0 || env_.volumes->Doubtful(location->attr, *replica, st)) {
      tried.push_back(replica->volume);
      continue;
    }
    if (failed)
      log::warn("inode {}: volume {} cannot be read; reading on from {}", inode.value,
                file->record->volume, volume->name());
    EndLoad(*file, file->loads);
    file->volume = volume;
    file->record->volume = replica->volume.value;
    file->record->object_generation = replica->object_generation;
    file->name_durable = false;
    file->Changed();
    descriptors_.Give(file.shared(), std::move(*fd), false);
    for (uint32_t left = file->opens(); left > 0; --left) BeginLoad(*file);
    return file->fd;
  }
  return Fail(Code::kIo, "reading an object: no other copy of it can be read");
}

Result<std::shared_ptr<UniqueFd>> OpenTable::Descriptor(InodeId inode, bool writable) {
  auto file = Find(inode);
  if (!file || !(*file)->in_use()) return Fail(Code::kStale);
  OpenFile& f = **file;
  if (!f.fd || (writable && !f.fd_writable)) {
    if (!f.volume) {
      PXFS_ASSIGN(f.volume, env_.volumes->Require(VolumeId(f.record->volume)));
    }
    PXFS_ASSIGN(UniqueFd fd, f.volume->OpenObject(f.object(), writable ? O_RDWR : O_RDONLY));
    descriptors_.Give(file->shared(), std::move(fd), writable);
  }
  f.fd_used = true;
  return f.fd;
}

Result<struct stat> OpenTable::Stat(OpenFile& file) {
  if (file.fd) {
    struct stat st;
    if (::fstat(file.fd->get(), &st) != 0) return FailErrno(errno, "fstat of an object");
    return st;
  }
  if (!file.volume) {
    PXFS_ASSIGN(file.volume, env_.volumes->Require(VolumeId(file.record->volume)));
  }
  return file.volume->StatObject(file.object());
}

// Passthrough reads move the object's atime, unseen: carry it over when the file is let go.
void OpenTable::LearnAtime(Turn& file) {
  if (file->atime == meta::Timestamp{}) return;  // never bound here
  auto st = Stat(*file);
  if (!st || volumes::ToTimestamp(st->st_atim) <= file->atime) return;
  meta::AttrChange change;
  change.atime = volumes::ToTimestamp(st->st_atim);
  change.atime_only = true;
  const InodeId inode = file->inode;
  auto stored = file.Outside(
      [&] { return env_.metadata->SetAttr({.session = env_.session}, inode, change); });
  // A reply that was made from what metadata had until now must not stay in the kernel's cache.
  if (stored) env_.transport->InvalidateAttributes(inode.value);
  if (!stored && stored.error() != Code::kNotFound)
    log::warn("inode {}: storing its access time: {}", inode.value, stored.error().message());
}

void OpenTable::BeginLoad(OpenFile& file) {
  if (file.loads == 0) file.load_bytes = file.size_bytes;
  ++file.loads;
  env_.volumes->load().Begin(VolumeId(file.record->volume), file.load_bytes);
}

void OpenTable::EndLoad(OpenFile& file, uint32_t opens) {
  for (; opens > 0 && file.loads > 0; --opens, --file.loads)
    env_.volumes->load().End(VolumeId(file.record->volume), file.load_bytes);
}

}  // namespace pxfs::fs
