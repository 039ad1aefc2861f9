// Attributes, content, names.
#include "meta/remote/codec.h"
#include "meta/remote/codec_lists.h"

namespace pxfs::meta::remote {
namespace {

constexpr uint32_t kNanosecondsPerSecond = 1'000'000'000;

Timestamp DecodeTime(int64_t seconds, uint32_t nanoseconds, Validity& validity) {
  if (nanoseconds >= kNanosecondsPerSecond) validity.Fail();
  return {seconds, nanoseconds};
}

}  // namespace

void Encode(pb::Context& to, const CallContext& from) {
  to.set_session(from.session.value);
  to.set_request(from.request);
  to.set_uid(from.uid);
  to.set_gid(from.gid);
  to.set_check_access(from.check_access);
  if (from.check_access) to.mutable_groups()->Assign(from.groups.begin(), from.groups.end());
}

void Decode(const pb::Context& from, CallContext& to, Validity&) {
  to.session = SessionId(from.session());
  to.request = from.request();
  to.uid = from.uid();
  to.gid = from.gid();
  to.check_access = from.check_access();
  to.groups.assign(from.groups().begin(), from.groups().end());
}

void Encode(pb::Timestamp& to, const Timestamp& from) {
  to.set_seconds(from.seconds);
  to.set_nanoseconds(from.nanoseconds);
}

void Decode(const pb::Timestamp& from, Timestamp& to, Validity& validity) {
  to = DecodeTime(from.seconds(), from.nanoseconds(), validity);
}

void Encode(pb::Hash128& to, const Hash128& from) {
  to.set_high(from.high);
  to.set_low(from.low);
}

void Decode(const pb::Hash128& from, Hash128& to, Validity&) { to = {from.high(), from.low()}; }

void Encode(pb::Attr& to, const Attr& from) {
  to.set_inode(from.inode.value);
  to.set_mode(from.mode);
  to.set_nlink(from.nlink);
  to.set_uid(from.uid);
  to.set_gid(from.gid);
  to.set_rdev(from.rdev);
  to.set_size_bytes(from.size_bytes);
  to.set_blocks(from.blocks);
  to.set_atime(from.atime.seconds);
  to.set_atime_ns(from.atime.nanoseconds);
  to.set_mtime(from.mtime.seconds);
  to.set_mtime_ns(from.mtime.nanoseconds);
  to.set_ctime(from.ctime.seconds);
  to.set_ctime_ns(from.ctime.nanoseconds);
  to.set_btime(from.btime.seconds);
  to.set_btime_ns(from.btime.nanoseconds);
  to.set_generation(from.generation);
  to.set_open_for_write(from.open_for_write);
  to.set_flags(from.flags);
}

void Decode(const pb::Attr& from, Attr& to, Validity& validity) {
  to.inode = InodeId(from.inode());
  to.mode = from.mode();
  to.nlink = from.nlink();
  to.uid = from.uid();
  to.gid = from.gid();
  to.rdev = from.rdev();
  to.size_bytes = from.size_bytes();
  to.blocks = from.blocks();
  to.atime = DecodeTime(from.atime(), from.atime_ns(), validity);
  to.mtime = DecodeTime(from.mtime(), from.mtime_ns(), validity);
  to.ctime = DecodeTime(from.ctime(), from.ctime_ns(), validity);
  to.btime = DecodeTime(from.btime(), from.btime_ns(), validity);
  to.generation = from.generation();
  to.open_for_write = from.open_for_write();
  to.flags = from.flags();
}

void Encode(pb::Replica& to, const Replica& from) {
  to.set_volume(from.volume.value);
  to.set_object_generation(from.object_generation);
  to.set_generation(from.generation);
  to.set_state(static_cast<uint32_t>(from.state));
  to.set_primary(from.primary);
  to.set_materialized(from.materialized);
  if (from.checksum) Encode(*to.mutable_checksum(), *from.checksum);
  to.set_verified(from.verified_seconds);
}

void Decode(const pb::Replica& from, Replica& to, Validity& validity) {
  to.volume = VolumeId(from.volume());
  to.object_generation = from.object_generation();
  to.generation = from.generation();
  to.state = validity.ToEnum(from.state(), ReplicaState::kMissing);
  to.primary = from.primary();
  to.materialized = from.materialized();
  if (from.has_checksum()) Decode(from.checksum(), to.checksum.emplace(), validity);
  to.verified_seconds = from.verified();
}

void Encode(pb::CopyWishes& to, const CopyWishes& from) {
  to.set_copies(from.copies);
  for (const VolumeId volume : from.volumes) to.add_volumes(volume.value);
}

void Decode(const pb::CopyWishes& from, CopyWishes& to, Validity&) {
  to.copies = from.copies();
  for (const uint64_t volume : from.volumes()) to.volumes.emplace(volume);
}

void Encode(pb::Location& to, const Location& from) {
  Encode(*to.mutable_attr(), from.attr);
  EncodeList(*to.mutable_replicas(), from.replicas);
  if (!from.wishes.empty()) Encode(*to.mutable_wishes(), from.wishes);
  to.set_relayed(from.relayed);
  to.set_commit_copies(from.commit_copies);
}

void Decode(const pb::Location& from, Location& to, Validity& validity) {
  Decode(from.attr(), to.attr, validity);
  DecodeList(from.replicas(), to.replicas, validity);
  Decode(from.wishes(), to.wishes, validity);
  to.relayed = from.relayed();
  to.commit_copies = from.commit_copies();
}

void Encode(pb::ContentState& to, const ContentState& from) {
  to.set_size_bytes(from.size_bytes);
  to.set_blocks(from.blocks);
  Encode(*to.mutable_atime(), from.atime);
  Encode(*to.mutable_mtime(), from.mtime);
  Encode(*to.mutable_ctime(), from.ctime);
  if (from.checksum) Encode(*to.mutable_checksum(), *from.checksum);
}

void Decode(const pb::ContentState& from, ContentState& to, Validity& validity) {
  to.size_bytes = from.size_bytes();
  to.blocks = from.blocks();
  Decode(from.atime(), to.atime, validity);
  Decode(from.mtime(), to.mtime, validity);
  Decode(from.ctime(), to.ctime, validity);
  if (from.has_checksum()) Decode(from.checksum(), to.checksum.emplace(), validity);
}

void Encode(pb::AttrChange& to, const AttrChange& from) {
  if (from.mode) to.set_mode(*from.mode);
  if (from.uid) to.set_uid(*from.uid);
  if (from.gid) to.set_gid(*from.gid);
  if (from.atime) Encode(*to.mutable_atime(), *from.atime);
  if (from.mtime) Encode(*to.mutable_mtime(), *from.mtime);
  to.set_atime_now(from.atime_now);
  to.set_mtime_now(from.mtime_now);
  to.set_clear_suid(from.clear_suid);
  if (from.content) Encode(*to.mutable_content(), *from.content);
  to.set_atime_only(from.atime_only);
  if (from.flags) to.set_flags(*from.flags);
}

void Decode(const pb::AttrChange& from, AttrChange& to, Validity& validity) {
  if (from.has_mode()) to.mode = from.mode();
  if (from.has_uid()) to.uid = from.uid();
  if (from.has_gid()) to.gid = from.gid();
  if (from.has_atime()) Decode(from.atime(), to.atime.emplace(), validity);
  if (from.has_mtime()) Decode(from.mtime(), to.mtime.emplace(), validity);
  to.atime_now = from.atime_now();
  to.mtime_now = from.mtime_now();
  to.clear_suid = from.clear_suid();
  if (from.has_content()) Decode(from.content(), to.content.emplace(), validity);
  to.atime_only = from.atime_only();
  if (from.has_flags()) to.flags = from.flags();
}

void Encode(pb::NewNode& to, const NewNode& from) {
  to.set_mode(from.mode);
  to.set_umask(from.umask);
  to.set_rdev(from.rdev);
  to.set_symlink_target(from.symlink_target);
}

void Decode(const pb::NewNode& from, NewNode& to, Validity&) {
  to.mode = from.mode();
  to.umask = from.umask();
  to.rdev = from.rdev();
  to.symlink_target = from.symlink_target();
}

void Encode(pb::DirPage& to, const DirPage& from) {
  to.mutable_entries()->Reserve(static_cast<int>(from.entries.size()));
  for (const DirEntry& entry : from.entries) {
    pb::DirEntry& item = *to.add_entries();
    item.set_name(entry.name);
    Encode(*item.mutable_attr(), entry.attr);
    item.set_cookie(entry.cookie);
  }
  to.set_parent(from.parent.value);
  to.set_end(from.end);
}

void Decode(const pb::DirPage& from, DirPage& to, Validity& validity) {
  to.entries.reserve(static_cast<size_t>(from.entries_size()));
  for (const pb::DirEntry& item : from.entries()) {
    DirEntry& entry = to.entries.emplace_back();
    entry.name = item.name();
    Decode(item.attr(), entry.attr, validity);
    entry.cookie = item.cookie();
  }
  to.parent = InodeId(from.parent());
  to.end = from.end();
}

void Encode(pb::Removed& to, const Removed& from) {
  to.set_inode(from.inode.value);
  to.set_orphaned(from.orphaned);
}

void Decode(const pb::Removed& from, Removed& to, Validity&) {
  to = {InodeId(from.inode()), from.orphaned()};
}

void Encode(pb::StatFs& to, const StatFs& from) {
  to.set_total_bytes(from.total_bytes);
  to.set_free_bytes(from.free_bytes);
  to.set_available_bytes(from.available_bytes);
  to.set_inodes(from.inodes);
}

void Decode(const pb::StatFs& from, StatFs& to, Validity&) {
  to = {from.total_bytes(), from.free_bytes(), from.available_bytes(), from.inodes()};
}

void Encode(pb::Invalidation& to, const Invalidation& from) {
  to.set_kind(static_cast<uint32_t>(from.kind));
  to.set_inode(from.inode.value);
  to.set_name(from.name);
}

void Decode(const pb::Invalidation& from, Invalidation& to, Validity& validity) {
  to.kind = validity.ToEnum(from.kind(), Invalidation::Kind::kAll);
  to.inode = InodeId(from.inode());
  to.name = from.name();
}

}  // namespace pxfs::meta::remote
