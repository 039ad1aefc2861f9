// The records of the store as structs, and their encoding (meta/records.proto).
//
// Decoding checks what it reads: bytes that no version of pxfs wrote are kCorruption, and the
// message names the key. Decoders never trust sizes or types of damaged records.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/types.h"

namespace pxfs::meta {

struct InodeRecord {
  // nlink of a directory is 2 + directories, or 0 once it is removed; open_for_write follows
  // writers.
  Attr attr;
  InodeId parent;    // of one link (a directory's only one); kept, but void, once nlink is 0
  std::string name;  // that link's name; empty for the root and what never had one
  uint64_t entries = 0;
  uint64_t directories = 0;
  bool collided = false;
  std::string symlink_target;
  std::vector<Replica> replicas;
  uint32_t xattrs = 0;
  bool access_acl = false, default_acl = false;
  uint32_t writers = 0;  // sessions that have it open for writing
  bool detached = false;
  uint64_t content_epoch = 0;  // meta/content_epochs.h
  uint64_t last_object = 0;    // the highest object generation given to a copy
  CopyWishes wishes;

  bool removed() const { return attr.nlink == 0; }
  void SetWriters(uint32_t count) {
    writers = count;
    attr.open_for_write = count > 0;
  }
  // An entry that is a directory came or went.
  void AddDirectories(int64_t count) {
    directories += count;
    attr.nlink = static_cast<uint32_t>(2 + directories);
  }
};
using InodePtr = std::shared_ptr<const InodeRecord>;

struct EntryRecord {
  std::string name;  // empty: removed, but others are chained behind it
  InodeId child;
  uint32_t type = 0;  // S_IFMT bits
  bool chained = false;

  bool removed() const { return name.empty(); }
};

struct OrphanRecord {
  struct Holder {
    SessionId session;
    bool until_closed = false;
  };
  std::vector<Holder> holders;
  bool linkable = false;
};

struct ReservationRecord {
  bool detached_directory = false;
  VolumeId volume;
  uint64_t object_generation = 0;
  bool copy = false;  // of an inode that exists
};

struct ReclaimRecord {
  InodeId inode;
  std::vector<Replica> replicas;
  bool whole_inode = false;
};

struct SessionRecord {
  std::string description;
  bool caches = false;
  pid_t holder = 0;  // with its start, StartOfProcess
  uint64_t holder_started = 0;
};

struct SchemaRecord {
  uint32_t version = 0;
  uint64_t name_seed = 0;
};

struct TotalsRecord {
  struct Volume {
    VolumeId volume;
    uint64_t objects = 0, object_bytes = 0;
  };
  uint64_t inodes = 0;
  std::vector<Volume> volumes;
};

struct RequestRecord {
  uint64_t request = 0;
  InodeId inode;
  bool orphaned = false;
  uint64_t fingerprint = 0;
};

std::string Encode(const InodeRecord& record);
std::string Encode(const EntryRecord& record);
std::string Encode(const OrphanRecord& record);
std::string Encode(const ReservationRecord& record);
std::string Encode(const ReclaimRecord& record);
std::string Encode(const SessionRecord& record);
std::string Encode(const SchemaRecord& record);
std::string Encode(const TotalsRecord& record);
std::string Encode(const RequestRecord& record);
std::string Encode(const VolumeInfo& record);  // without its id and what is reported
std::string Encode(const Policy& record);
std::string EncodeLinkName(std::string_view name);
std::string EncodeNumber(uint64_t number);

// `key` is only for the message of kCorruption, except that an inode's number comes from it.
template <typename Record>
Result<Record> Decode(std::string_view key, std::string_view value);
template <>
Result<InodeRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<EntryRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<OrphanRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<ReservationRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<ReclaimRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<SessionRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<SchemaRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<TotalsRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<RequestRecord> Decode(std::string_view key, std::string_view value);
template <>
Result<VolumeInfo> Decode(std::string_view key, std::string_view value);
template <>
Result<Policy> Decode(std::string_view key, std::string_view value);
Result<std::string> DecodeLinkName(std::string_view key, std::string_view value);
Result<uint64_t> DecodeNumber(std::string_view key, std::string_view value);

tl::unexpected<Error> DamagedRecord(std::string_view key, std::string_view what);

}  // namespace pxfs::meta
