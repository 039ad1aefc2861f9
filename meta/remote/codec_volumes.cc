// Volumes, policies, trees, records, reclaim and statistics.
#include "meta/remote/codec.h"
#include "meta/remote/codec_lists.h"

namespace pxfs::meta::remote {

void Encode(pb::VolumeInfo& to, const VolumeInfo& from) {
  to.set_id(from.id.value);
  to.set_name(from.name);
  to.set_uuid(from.uuid);
  to.set_path(from.path);
  to.set_node(from.node.value);
  to.set_state(static_cast<uint32_t>(from.state));
  to.set_weight(from.weight);
  to.set_reserve_bytes(from.reserve_bytes);
  EncodePairs(*to.mutable_labels(), from.labels);
  to.set_total_bytes(from.total_bytes);
  to.set_free_bytes(from.free_bytes);
  to.set_problem(from.problem);
  to.set_objects(from.objects);
  to.set_object_bytes(from.object_bytes);
  to.set_copy_rate(from.copy_rate);
  to.set_unsettled(from.unsettled);
}

void Decode(const pb::VolumeInfo& from, VolumeInfo& to, Validity& validity) {
  to.id = VolumeId(from.id());
  to.name = from.name();
  to.uuid = from.uuid();
  to.path = from.path();
  to.node = NodeId(from.node());
  to.state = validity.ToEnum(from.state(), VolumeState::kOffline);
  to.weight = from.weight();
  to.reserve_bytes = from.reserve_bytes();
  DecodePairs(from.labels(), to.labels);
  to.total_bytes = from.total_bytes();
  to.free_bytes = from.free_bytes();
  to.problem = from.problem();
  to.objects = from.objects();
  to.object_bytes = from.object_bytes();
  to.copy_rate = from.copy_rate();
  to.unsettled = from.unsettled();
}

void Encode(pb::VolumeReport& to, const VolumeReport& from) {
  to.set_volume(from.volume.value);
  to.set_usable(from.usable);
  to.set_read_only(from.read_only);
  to.set_total_bytes(from.total_bytes);
  to.set_free_bytes(from.free_bytes);
  to.set_problem(from.problem);
}

void Decode(const pb::VolumeReport& from, VolumeReport& to, Validity&) {
  to.volume = VolumeId(from.volume());
  to.usable = from.usable();
  to.read_only = from.read_only();
  to.total_bytes = from.total_bytes();
  to.free_bytes = from.free_bytes();
  to.problem = from.problem();
}

void Encode(pb::Policy& to, const Policy& from) {
  if (from.placement) to.set_placement(static_cast<uint32_t>(*from.placement));
  to.set_pin_volume(from.pin_volume);
  if (from.copies) to.set_copies(*from.copies);
  if (from.hot) to.set_hot(*from.hot);
  if (from.max_copies) to.set_max_copies(*from.max_copies);
  if (from.passthrough) to.set_passthrough(*from.passthrough);
  if (from.commit_close) to.set_commit_close(*from.commit_close);
  EncodePairs(*to.mutable_labels(), from.labels);
}

void Decode(const pb::Policy& from, Policy& to, Validity& validity) {
  if (from.has_placement()) to.placement = validity.ToEnum(from.placement(), Placement::kPin);
  to.pin_volume = from.pin_volume();
  if (from.has_copies()) to.copies = from.copies();
  if (from.has_hot()) to.hot = from.hot();
  if (from.has_max_copies()) to.max_copies = from.max_copies();
  if (from.has_passthrough()) to.passthrough = from.passthrough();
  if (from.has_commit_close()) to.commit_close = from.commit_close();
  DecodePairs(from.labels(), to.labels);
}

void Encode(pb::PolicyView& to, const PolicyView& from) {
  Encode(*to.mutable_own(), from.own);
  Encode(*to.mutable_effective(), from.effective);
  to.set_set_on(from.set_on.value);
}

void Decode(const pb::PolicyView& from, PolicyView& to, Validity& validity) {
  Decode(from.own(), to.own, validity);
  Decode(from.effective(), to.effective, validity);
  to.set_on = InodeId(from.set_on());
}

void Encode(pb::ReservedObject& to, const ReservedObject& from) {
  to.set_inode(from.inode.value);
  to.set_volume(from.volume.value);
  to.set_object_generation(from.object_generation);
}

void Decode(const pb::ReservedObject& from, ReservedObject& to, Validity&) {
  to = {InodeId(from.inode()), VolumeId(from.volume()), from.object_generation()};
}

void Encode(pb::ReservedObject& to, const ObjectRef& from) {
  to.set_inode(from.inode.value);
  to.set_volume(from.volume.value);
  to.set_object_generation(from.object_generation);
}

void Decode(const pb::ReservedObject& from, ObjectRef& to, Validity&) {
  to = {InodeId(from.inode()), VolumeId(from.volume()), from.object_generation()};
}

void Encode(pb::CopyTicket& to, const CopyTicket& from) {
  Encode(*to.mutable_source(), from.source);
  Encode(*to.mutable_object(), from.object);
}

void Decode(const pb::CopyTicket& from, CopyTicket& to, Validity& validity) {
  Decode(from.source(), to.source, validity);
  Decode(from.object(), to.object, validity);
}

void Encode(pb::ScrubFinding& to, const ScrubFinding& from) {
  Encode(*to.mutable_object(), from.object);
  to.set_generation(from.generation);
  to.set_good(from.good);
  Encode(*to.mutable_checksum(), from.checksum);
}

void Decode(const pb::ScrubFinding& from, ScrubFinding& to, Validity& validity) {
  Decode(from.object(), to.object, validity);
  to.generation = from.generation();
  to.good = from.good();
  Decode(from.checksum(), to.checksum, validity);
}

namespace {

void EncodeCount(pb::CopyCensus::Count& to, const CopyCensus::Count& from) {
  to.set_files(from.files);
  to.set_bytes(from.bytes);
}

CopyCensus::Count DecodeCount(const pb::CopyCensus::Count& from) {
  return {from.files(), from.bytes()};
}

}  // namespace

void Encode(pb::CopyCensus& to, const CopyCensus& from) {
  EncodeCount(*to.mutable_under_replicated(), from.under_replicated);
  EncodeCount(*to.mutable_stale(), from.stale);
  EncodeCount(*to.mutable_queued(), from.queued);
  for (const CopyCensus::Loss& loss : from.lost) {
    pb::CopyCensus::Loss& item = *to.add_lost();
    item.set_volume(loss.volume.value);
    item.set_name(loss.name);
    item.set_removed(loss.removed);
    EncodeCount(*item.mutable_count(), loss.count);
  }
}

void Decode(const pb::CopyCensus& from, CopyCensus& to, Validity&) {
  to.under_replicated = DecodeCount(from.under_replicated());
  to.stale = DecodeCount(from.stale());
  to.queued = DecodeCount(from.queued());
  for (const pb::CopyCensus::Loss& item : from.lost())
    to.lost.push_back(
        {VolumeId(item.volume()), item.name(), item.removed(), DecodeCount(item.count())});
}

void Encode(pb::TreeNode& to, const TreeNode& from) {
  to.set_path(from.path);
  to.set_mode(from.mode);
  to.set_uid(from.uid);
  to.set_gid(from.gid);
  to.set_rdev(from.rdev);
  Encode(*to.mutable_atime(), from.atime);
  Encode(*to.mutable_mtime(), from.mtime);
  to.set_symlink_target(from.symlink_target);
  EncodePairs(*to.mutable_xattrs(), from.xattrs);
  to.set_hard_link_to(from.hard_link_to);
  Encode(*to.mutable_object(), from.object);
  to.set_size_bytes(from.size_bytes);
  to.set_blocks(from.blocks);
  if (from.checksum) Encode(*to.mutable_checksum(), *from.checksum);
}

void Decode(const pb::TreeNode& from, TreeNode& to, Validity& validity) {
  to.path = from.path();
  to.mode = from.mode();
  to.uid = from.uid();
  to.gid = from.gid();
  to.rdev = from.rdev();
  Decode(from.atime(), to.atime, validity);
  Decode(from.mtime(), to.mtime, validity);
  to.symlink_target = from.symlink_target();
  DecodePairs(from.xattrs(), to.xattrs);
  to.hard_link_to = from.hard_link_to();
  Decode(from.object(), to.object, validity);
  to.size_bytes = from.size_bytes();
  to.blocks = from.blocks();
  if (from.has_checksum()) Decode(from.checksum(), to.checksum.emplace(), validity);
}

void Encode(pb::RecordWrite& to, const RecordWrite& from) {
  to.set_key(from.key);
  if (from.value) to.set_value(*from.value);
}

void Decode(const pb::RecordWrite& from, RecordWrite& to, Validity&) {
  to.key = from.key();
  if (from.has_value()) to.value = from.value();
}

void Encode(pb::ReclaimItem& to, const ReclaimItem& from) {
  to.set_ticket(from.ticket);
  to.set_inode(from.inode.value);
  EncodeList(*to.mutable_replicas(), from.replicas);
}

void Decode(const pb::ReclaimItem& from, ReclaimItem& to, Validity& validity) {
  to.ticket = from.ticket();
  to.inode = InodeId(from.inode());
  DecodeList(from.replicas(), to.replicas, validity);
}

void Encode(pb::Statistics& to, const Statistics& from) {
  to.set_inodes(from.inodes);
  to.set_orphans(from.orphans);
  to.set_reclaim_queue(from.reclaim_queue);
  to.set_open_for_write(from.open_for_write);
  to.set_cached_inodes(from.cached_inodes);
  to.set_cached_names(from.cached_names);
  to.set_max_inodes(from.max_inodes);
  pb::CopyRates& copying = *to.mutable_copying();
  copying.set_files(from.copying.files);
  copying.set_bytes(from.copying.bytes);
  copying.set_dropped(from.copying.dropped);
  copying.set_given_up(from.copying.given_up);
  copying.set_bytes_per_second(from.copying.bytes_per_second);
  EncodeList(*copying.mutable_under_way(), from.copying.under_way);
  for (const SessionInfo& session : from.sessions) {
    pb::SessionInfo& item = *to.add_sessions();
    item.set_id(session.id.value);
    item.set_description(session.description);
    item.set_caches(session.caches);
    item.set_open_for_write(session.open_for_write);
    item.set_attached(session.attached);
  }
}

void Decode(const pb::Statistics& from, Statistics& to, Validity& validity) {
  to.inodes = from.inodes();
  to.orphans = from.orphans();
  to.reclaim_queue = from.reclaim_queue();
  to.open_for_write = from.open_for_write();
  to.cached_inodes = from.cached_inodes();
  to.cached_names = from.cached_names();
  to.max_inodes = from.max_inodes();
  to.copying = {from.copying().files(),
                from.copying().bytes(),
                from.copying().dropped(),
                from.copying().given_up(),
                from.copying().bytes_per_second(),
                {}};
  DecodeList(from.copying().under_way(), to.copying.under_way, validity);
  for (const pb::SessionInfo& item : from.sessions())
    to.sessions.push_back({SessionId(item.id()), item.description(), item.caches(), item.attached(),
                           item.open_for_write()});
}

}  // namespace pxfs::meta::remote
