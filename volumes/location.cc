#include "volumes/location.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <optional>

namespace pxfs::volumes {
namespace {

const char* StateOf(const meta::Replica& replica, InodeId inode, const VolumeSet& volumes) {
  if (replica.state != meta::ReplicaState::kCurrent) return meta::ToString(replica.state);
  const auto info = volumes.Info(replica.volume);
  if (!info || info->state == meta::VolumeState::kOffline)
    return meta::ToString(meta::ReplicaState::kMissing);
  if (const auto volume = volumes.Find(replica.volume); volume && replica.materialized) {
    const auto st = volume->StatObject({inode, replica.object_generation});
    if (!st && st.error() == Code::kNotFound) return meta::ToString(meta::ReplicaState::kMissing);
  }
  return meta::ToString(replica.state);
}

// An object is written from its start on; one with holes has its size first.
std::optional<uint64_t> CopiedSoFar(const meta::Replica& replica, const meta::Attr& attr,
                                    const VolumeSet& volumes) {
  if (replica.state != meta::ReplicaState::kCopying) return std::nullopt;
  const auto volume = volumes.Find(replica.volume);
  if (!volume) return std::nullopt;
  const auto st = volume->StatObject({attr.inode, replica.object_generation});
  if (!st) return std::nullopt;
  return std::min({static_cast<uint64_t>(st->st_size), static_cast<uint64_t>(st->st_blocks) * 512,
                   attr.size_bytes});
}

}  // namespace

std::string NodeName(NodeId node) {
  if (node) return "node" + std::to_string(node.value);
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

void SetText(nlohmann::json& json, const std::string& key, const std::string& text) {
  std::string shown =
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  json[key] = nlohmann::json::parse(shown);
  if (json[key].get_ref<const std::string&>() == text) return;
  std::string hex;
  for (const unsigned char byte : text) {
    constexpr const char* kDigits = "0123456789abcdef";
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  json[key + "_hex"] = hex;
}

void AddCopiesUnderWay(meta::Location& location, std::span<const meta::ObjectRef> under_way) {
  for (const meta::ObjectRef& object : under_way) {
    if (object.inode != location.attr.inode) continue;
    const bool committed =
        std::any_of(location.replicas.begin(), location.replicas.end(), [&](const auto& replica) {
          return replica.volume == object.volume &&
                 replica.object_generation == object.object_generation;
        });
    if (committed) continue;
    meta::Replica& copy = location.replicas.emplace_back();
    copy.volume = object.volume;
    copy.object_generation = object.object_generation;
    copy.generation = location.attr.generation;
    copy.state = meta::ReplicaState::kCopying;
  }
}

nlohmann::json LocationJson(const meta::Location& location, const VolumeSet& volumes,
                            const std::string& path) {
  nlohmann::json json = {{"inode", location.attr.inode.value},
                         {"size", location.attr.size_bytes},
                         {"generation", location.attr.generation},
                         {"replicas", nlohmann::json::array()}};
  SetText(json, "path", path);
  for (const meta::Replica& replica : location.replicas) {
    const auto info = volumes.Info(replica.volume);
    json["replicas"].push_back({{"node", NodeName(info ? info->node : NodeId())},
                                {"volume", volumes.NameOf(replica.volume)},
                                {"object", volumes.ObjectPath(replica, location.attr.inode)},
                                {"generation", replica.generation},
                                {"state", StateOf(replica, location.attr.inode, volumes)},
                                {"primary", replica.primary}});
    if (const auto copied = CopiedSoFar(replica, location.attr, volumes))
      json["replicas"].back()["copied"] = *copied;
    if (replica.verified_seconds != 0)
      json["replicas"].back()["verified"] = replica.verified_seconds;
  }
  if (location.wishes.copies != 0) json["wishes"]["copies"] = location.wishes.copies;
  for (const VolumeId volume : location.wishes.volumes)
    json["wishes"]["volumes"].push_back(volumes.NameOf(volume));
  return json;
}

}  // namespace pxfs::volumes
