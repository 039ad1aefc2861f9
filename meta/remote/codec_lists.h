// Repeated fields to vectors and back.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "meta/remote/codec.h"

namespace pxfs::meta::remote {

template <typename Message, typename Items>
void EncodeList(google::protobuf::RepeatedPtrField<Message>& to, const Items& from) {
  to.Reserve(static_cast<int>(from.size()));
  for (const auto& item : from) Encode(*to.Add(), item);
}

template <typename Message, typename Item>
void DecodeList(const google::protobuf::RepeatedPtrField<Message>& from, std::vector<Item>& to,
                Validity& validity) {
  to.reserve(static_cast<size_t>(from.size()));
  for (const Message& item : from) Decode(item, to.emplace_back(), validity);
}

inline void EncodePairs(google::protobuf::RepeatedPtrField<pb::Pair>& to,
                        const std::map<std::string, std::string>& from) {
  for (const auto& [key, value] : from) {
    pb::Pair& pair = *to.Add();
    pair.set_key(key);
    pair.set_value(value);
  }
}

inline void DecodePairs(const google::protobuf::RepeatedPtrField<pb::Pair>& from,
                        std::map<std::string, std::string>& to) {
  for (const pb::Pair& pair : from) to[pair.key()] = pair.value();
}

inline void EncodeIds(google::protobuf::RepeatedField<uint64_t>& to,
                      std::span<const InodeId> from) {
  to.Reserve(static_cast<int>(from.size()));
  for (const InodeId id : from) to.Add(id.value);
}

inline void DecodeIds(const google::protobuf::RepeatedField<uint64_t>& from,
                      std::vector<InodeId>& to) {
  to.reserve(static_cast<size_t>(from.size()));
  for (const uint64_t id : from) to.emplace_back(id);
}

}  // namespace pxfs::meta::remote
