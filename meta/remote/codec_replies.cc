// Lists and single values that methods return.
#include "meta/remote/codec.h"
#include "meta/remote/codec_lists.h"

namespace pxfs::meta::remote {

void Encode(pb::Text& to, const std::string& from) { to.set_value(from); }
void Decode(const pb::Text& from, std::string& to, Validity&) { to = from.value(); }

void Encode(pb::Texts& to, const std::vector<std::string>& from) {
  for (const std::string& text : from) to.add_values(text);
}
void Decode(const pb::Texts& from, std::vector<std::string>& to, Validity&) {
  to.assign(from.values().begin(), from.values().end());
}

void Encode(pb::Inodes& to, InodeId from) { to.add_inodes(from.value); }
void Decode(const pb::Inodes& from, InodeId& to, Validity& validity) {
  if (from.inodes_size() != 1) return validity.Fail();
  to = InodeId(from.inodes(0));
}

void Encode(pb::Inodes& to, const std::vector<InodeId>& from) {
  EncodeIds(*to.mutable_inodes(), from);
}
void Decode(const pb::Inodes& from, std::vector<InodeId>& to, Validity&) {
  DecodeIds(from.inodes(), to);
}

void Encode(pb::Locations& to, const std::vector<Location>& from) {
  EncodeList(*to.mutable_locations(), from);
}
void Decode(const pb::Locations& from, std::vector<Location>& to, Validity& validity) {
  DecodeList(from.locations(), to, validity);
}

void Encode(pb::ReservedObjects& to, const std::vector<ReservedObject>& from) {
  EncodeList(*to.mutable_objects(), from);
}
void Decode(const pb::ReservedObjects& from, std::vector<ReservedObject>& to, Validity& validity) {
  DecodeList(from.objects(), to, validity);
}

void Encode(pb::ReclaimItems& to, std::span<const ReclaimItem> from) {
  EncodeList(*to.mutable_items(), from);
}
void Decode(const pb::ReclaimItems& from, std::vector<ReclaimItem>& to, Validity& validity) {
  DecodeList(from.items(), to, validity);
}

void Encode(pb::VolumeInfos& to, const std::vector<VolumeInfo>& from) {
  EncodeList(*to.mutable_volumes(), from);
}
void Decode(const pb::VolumeInfos& from, std::vector<VolumeInfo>& to, Validity& validity) {
  DecodeList(from.volumes(), to, validity);
}

void Encode(pb::Records& to, const std::vector<Record>& from) {
  for (const Record& record : from) {
    pb::Pair& pair = *to.add_records();
    pair.set_key(record.key);
    pair.set_value(record.value);
  }
}
void Decode(const pb::Records& from, std::vector<Record>& to, Validity&) {
  for (const pb::Pair& pair : from.records()) to.push_back({pair.key(), pair.value()});
}

}  // namespace pxfs::meta::remote
