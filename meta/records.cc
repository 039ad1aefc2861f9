#include "meta/records.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "base/bytes.h"
#include "meta/keys.h"
#include "meta/records.pb.h"

namespace pxfs::meta {
namespace {

// Equal records are equal bytes: protobuf alone would write maps in any order.
template <typename Message>
std::string Serialize(const Message& m) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  m.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

template <typename Message>
bool Parse(std::string_view value, Message* message) {
  message->Clear();
  return message->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

void ToMessage(const Replica& replica, pb::Replica* message) {
  message->set_volume(replica.volume.value);
  message->set_object_generation(replica.object_generation);
  message->set_generation(replica.generation);
  message->set_state(static_cast<uint32_t>(replica.state));
  message->set_primary(replica.primary);
  message->set_materialized(replica.materialized);
  if (replica.checksum) {
    message->mutable_checksum()->set_high(replica.checksum->high);
    message->mutable_checksum()->set_low(replica.checksum->low);
  }
  message->set_verified(replica.verified_seconds);
}

bool FromMessage(const pb::Replica& message, Replica* replica) {
  replica->volume = VolumeId(message.volume());
  replica->object_generation = message.object_generation();
  replica->generation = message.generation();
  replica->state = static_cast<ReplicaState>(message.state());
  replica->primary = message.primary();
  replica->materialized = message.materialized();
  if (message.has_checksum())
    replica->checksum = Hash128{message.checksum().high(), message.checksum().low()};
  replica->verified_seconds = message.verified();
  return message.volume() != 0 && message.state() >= 1 && message.state() <= 4;
}

template <typename Repeated>
bool FromMessages(const Repeated& messages, std::vector<Replica>* replicas) {
  replicas->reserve(messages.size());
  for (const pb::Replica& message : messages)
    if (!FromMessage(message, &replicas->emplace_back())) return false;
  return true;
}

bool IsFileType(uint32_t type) {
  switch (type) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFBLK:
    case S_IFCHR:
      return true;
    default:
      return false;
  }
}

constexpr int kTypeShift = 12;
constexpr uint32_t kBillion = 1'000'000'000;

// One scratch message a thread: parsing and serializing an inode then allocates next to nothing.
pb::Inode& ScratchInode() {
  static thread_local pb::Inode message;
  return message;
}
pb::Entry& ScratchEntry() {
  static thread_local pb::Entry message;
  return message;
}

}  // namespace

tl::unexpected<Error> DamagedRecord(std::string_view key, std::string_view what) {
  return Fail(Code::kCorruption, "damaged metadata record, " + keys::Describe(key) + ": " +
                                     std::string(what) + "; run pxfs fsck");
}

std::string Encode(const InodeRecord& record) {
  pb::Inode& m = ScratchInode();
  m.Clear();
  const Attr& a = record.attr;
  m.set_mode(a.mode);
  m.set_nlink(a.nlink);
  m.set_uid(a.uid);
  m.set_gid(a.gid);
  m.set_rdev(a.rdev);
  m.set_size_bytes(a.size_bytes);
  m.set_blocks(a.blocks);
  m.set_atime(a.atime.seconds);
  m.set_atime_ns(a.atime.nanoseconds);
  m.set_mtime(a.mtime.seconds);
  m.set_mtime_ns(a.mtime.nanoseconds);
  m.set_ctime(a.ctime.seconds);
  m.set_ctime_ns(a.ctime.nanoseconds);
  m.set_btime(a.btime.seconds);
  m.set_btime_ns(a.btime.nanoseconds);
  m.set_generation(a.generation);
  m.set_flags(a.flags);
  m.set_parent(record.parent.value);
  m.set_name(record.name);
  m.set_entries(record.entries);
  m.set_directories(record.directories);
  m.set_collided(record.collided);
  m.set_symlink_target(record.symlink_target);
  for (const Replica& replica : record.replicas) ToMessage(replica, m.add_replicas());
  m.set_xattrs(record.xattrs);
  m.set_access_acl(record.access_acl);
  m.set_default_acl(record.default_acl);
  m.set_writers(record.writers);
  m.set_detached(record.detached);
  m.set_content_epoch(record.content_epoch);
  m.set_last_object(record.last_object);
  m.set_wanted_copies(record.wishes.copies);
  for (const VolumeId volume : record.wishes.volumes) m.add_wanted_volumes(volume.value);
  return Serialize(m);
}

template <>
Result<InodeRecord> Decode(std::string_view key, std::string_view value) {
  pb::Inode& m = ScratchInode();
  InodeRecord record;
  Attr& a = record.attr;
  uint64_t inode = 0;
  if (!keys::ReadNumber(key, 0, &inode) || !Parse(value, &m))
    return DamagedRecord(key, "not an inode");
  a.inode = InodeId(inode);
  a.mode = m.mode();
  a.nlink = m.nlink();
  a.uid = m.uid();
  a.gid = m.gid();
  a.rdev = m.rdev();
  a.size_bytes = m.size_bytes();
  a.blocks = m.blocks();
  a.atime = {m.atime(), m.atime_ns()};
  a.mtime = {m.mtime(), m.mtime_ns()};
  a.ctime = {m.ctime(), m.ctime_ns()};
  a.btime = {m.btime(), m.btime_ns()};
  a.generation = m.generation();
  a.flags = m.flags();
  record.parent = InodeId(m.parent());
  record.name = m.name();
  record.entries = m.entries();
  record.directories = m.directories();
  record.collided = m.collided();
  record.symlink_target = m.symlink_target();
  record.xattrs = m.xattrs();
  record.access_acl = m.access_acl();
  record.default_acl = m.default_acl();
  record.detached = m.detached();
  record.content_epoch = m.content_epoch();
  record.last_object = m.last_object();
  record.wishes.copies = m.wanted_copies();
  for (const uint64_t volume : m.wanted_volumes()) record.wishes.volumes.emplace(volume);
  record.SetWriters(m.writers());
  if (!IsFileType(a.mode & S_IFMT)) return DamagedRecord(key, "unknown file type");
  for (const Timestamp& time : {a.atime, a.mtime, a.ctime, a.btime})
    if (time.nanoseconds >= kBillion) return DamagedRecord(key, "impossible time");
  if (!FromMessages(m.replicas(), &record.replicas)) return DamagedRecord(key, "bad replica");
  return record;
}

std::string Encode(const EntryRecord& record) {
  pb::Entry& m = ScratchEntry();
  m.set_name(record.name);
  m.set_child(record.child.value);
  m.set_type(record.type >> kTypeShift);
  m.set_chained(record.chained);
  return Serialize(m);
}

template <>
Result<EntryRecord> Decode(std::string_view key, std::string_view value) {
  pb::Entry& m = ScratchEntry();
  if (!Parse(value, &m)) return DamagedRecord(key, "not a directory entry");
  EntryRecord record{m.name(), InodeId(m.child()), m.type() << kTypeShift, m.chained()};
  const bool valid = record.removed() ? record.chained && !record.child
                                      : record.child && IsFileType(record.type) &&
                                            record.name.size() <= kMaxNameBytes;
  if (!valid) return DamagedRecord(key, "impossible entry");
  return record;
}

std::string Encode(const OrphanRecord& record) {
  pb::Orphan m;
  for (const OrphanRecord::Holder& holder : record.holders) {
    pb::Orphan::Holder* out = m.add_holders();
    out->set_session(holder.session.value);
    out->set_until_closed(holder.until_closed);
  }
  m.set_linkable(record.linkable);
  return Serialize(m);
}

template <>
Result<OrphanRecord> Decode(std::string_view key, std::string_view value) {
  pb::Orphan m;
  if (!Parse(value, &m)) return DamagedRecord(key, "not an orphan");
  OrphanRecord record;
  for (const pb::Orphan::Holder& holder : m.holders())
    record.holders.push_back({SessionId(holder.session()), holder.until_closed()});
  record.linkable = m.linkable();
  return record;
}

std::string Encode(const ReservationRecord& record) {
  pb::Reservation m;
  m.set_detached_directory(record.detached_directory);
  m.set_volume(record.volume.value);
  m.set_object_generation(record.object_generation);
  m.set_copy(record.copy);
  return Serialize(m);
}

template <>
Result<ReservationRecord> Decode(std::string_view key, std::string_view value) {
  pb::Reservation m;
  if (!Parse(value, &m) || (!m.detached_directory() && m.volume() == 0))
    return DamagedRecord(key, "not a reservation");
  return ReservationRecord{m.detached_directory(), VolumeId(m.volume()), m.object_generation(),
                           m.copy()};
}

std::string Encode(const ReclaimRecord& record) {
  pb::ReclaimItem m;
  m.set_inode(record.inode.value);
  for (const Replica& replica : record.replicas) ToMessage(replica, m.add_replicas());
  m.set_whole_inode(record.whole_inode);
  return Serialize(m);
}

template <>
Result<ReclaimRecord> Decode(std::string_view key, std::string_view value) {
  pb::ReclaimItem m;
  ReclaimRecord record;
  if (!Parse(value, &m) || m.inode() == 0 || !FromMessages(m.replicas(), &record.replicas))
    return DamagedRecord(key, "not a reclaim item");
  record.inode = InodeId(m.inode());
  record.whole_inode = m.whole_inode();
  return record;
}

std::string Encode(const SessionRecord& record) {
  pb::Session m;
  m.set_description(record.description);
  m.set_caches(record.caches);
  m.set_holder(record.holder);
  m.set_holder_started(record.holder_started);
  return Serialize(m);
}

template <>
Result<SessionRecord> Decode(std::string_view key, std::string_view value) {
  pb::Session m;
  if (!Parse(value, &m)) return DamagedRecord(key, "not a session");
  return SessionRecord{m.description(), m.caches(), m.holder(), m.holder_started()};
}

std::string Encode(const SchemaRecord& record) {
  pb::Schema m;
  m.set_version(record.version);
  m.set_name_seed(record.name_seed);
  return Serialize(m);
}

template <>
Result<SchemaRecord> Decode(std::string_view key, std::string_view value) {
  pb::Schema m;
  if (!Parse(value, &m) || m.version() == 0) return DamagedRecord(key, "not a schema");
  return SchemaRecord{m.version(), m.name_seed()};
}

std::string Encode(const TotalsRecord& record) {
  pb::Totals m;
  m.set_inodes(record.inodes);
  for (const TotalsRecord::Volume& volume : record.volumes) {
    pb::Totals::Volume* out = m.add_volumes();
    out->set_volume(volume.volume.value);
    out->set_objects(volume.objects);
    out->set_object_bytes(volume.object_bytes);
  }
  return Serialize(m);
}

template <>
Result<TotalsRecord> Decode(std::string_view key, std::string_view value) {
  pb::Totals m;
  if (!Parse(value, &m)) return DamagedRecord(key, "not the totals");
  TotalsRecord record;
  record.inodes = m.inodes();
  for (const pb::Totals::Volume& volume : m.volumes())
    record.volumes.push_back({VolumeId(volume.volume()), volume.objects(), volume.object_bytes()});
  return record;
}

std::string Encode(const RequestRecord& record) {
  pb::Request m;
  m.set_request(record.request);
  m.set_inode(record.inode.value);
  m.set_orphaned(record.orphaned);
  m.set_fingerprint(record.fingerprint);
  return Serialize(m);
}

template <>
Result<RequestRecord> Decode(std::string_view key, std::string_view value) {
  pb::Request m;
  if (!Parse(value, &m) || m.request() == 0) return DamagedRecord(key, "not a request");
  return RequestRecord{m.request(), InodeId(m.inode()), m.orphaned(), m.fingerprint()};
}

std::string Encode(const VolumeInfo& record) {
  pb::Volume m;
  m.set_name(record.name);
  m.set_uuid(record.uuid);
  m.set_path(record.path);
  m.set_node(record.node.value);
  m.set_state(static_cast<uint32_t>(record.state));
  m.set_weight(record.weight);
  m.set_reserve_bytes(record.reserve_bytes);
  m.set_copy_rate(record.copy_rate);
  m.mutable_labels()->insert(record.labels.begin(), record.labels.end());
  return Serialize(m);
}

template <>
Result<VolumeInfo> Decode(std::string_view key, std::string_view value) {
  pb::Volume m;
  uint64_t id = 0;
  if (!keys::ReadNumber(key, 0, &id) || !Parse(value, &m) || m.state() < 1 || m.state() > 4)
    return DamagedRecord(key, "not a volume");
  VolumeInfo record;
  record.id = VolumeId(id);
  record.name = m.name();
  record.uuid = m.uuid();
  record.path = m.path();
  record.node = NodeId(m.node());
  record.state = static_cast<VolumeState>(m.state());
  record.weight = m.weight();
  record.reserve_bytes = m.reserve_bytes();
  record.copy_rate = m.copy_rate();
  record.labels.insert(m.labels().begin(), m.labels().end());
  return record;
}

std::string Encode(const Policy& record) {
  pb::Policy m;
  if (record.placement) m.set_placement(static_cast<uint32_t>(*record.placement));
  m.set_pin_volume(record.pin_volume);
  if (record.copies) m.set_copies(*record.copies);
  if (record.hot) m.set_hot(*record.hot);
  if (record.max_copies) m.set_max_copies(*record.max_copies);
  if (record.passthrough) m.set_passthrough(*record.passthrough);
  if (record.commit_close) m.set_commit_close(*record.commit_close);
  m.mutable_labels()->insert(record.labels.begin(), record.labels.end());
  return Serialize(m);
}

template <>
Result<Policy> Decode(std::string_view key, std::string_view value) {
  pb::Policy m;
  if (!Parse(value, &m)) return DamagedRecord(key, "not a policy");
  Policy record;
  if (m.has_placement()) {
    if (m.placement() < 1 || m.placement() > 5) return DamagedRecord(key, "unknown placement");
    record.placement = static_cast<Placement>(m.placement());
  }
  record.pin_volume = m.pin_volume();
  if (m.has_copies()) record.copies = m.copies();
  if (m.has_hot()) record.hot = m.hot();
  if (m.has_max_copies()) record.max_copies = m.max_copies();
  if (m.has_passthrough()) record.passthrough = m.passthrough();
  if (m.has_commit_close()) record.commit_close = m.commit_close();
  record.labels.insert(m.labels().begin(), m.labels().end());
  return record;
}

std::string EncodeLinkName(std::string_view name) {
  pb::Link m;
  m.set_name(name.data(), name.size());
  return Serialize(m);
}

Result<std::string> DecodeLinkName(std::string_view key, std::string_view value) {
  pb::Link m;
  if (!Parse(value, &m) || m.name().empty() || m.name().size() > kMaxNameBytes)
    return DamagedRecord(key, "not a link");
  return m.name();
}

std::string EncodeNumber(uint64_t number) {
  std::string value;
  AppendBigEndian64(value, number);
  return value;
}

Result<uint64_t> DecodeNumber(std::string_view key, std::string_view value) {
  if (value.size() != 8) return DamagedRecord(key, "not a number");
  return ReadBigEndian64(value);
}

}  // namespace pxfs::meta
