#include "volumes/identity.h"

#include <fcntl.h>

#include "base/json_file.h"

namespace pxfs::volumes {
namespace {

constexpr int kVersion = 1;

bool HasText(const nlohmann::json& json, const char* key) {
  return json.contains(key) && json[key].is_string() &&
         !json[key].get_ref<const std::string&>().empty();
}

}  // namespace

Result<VolumeIdentity> ReadVolumeIdentity(int root_fd, const std::string& root) {
  const std::string file = root + "/" + kIdentityFile;
  // Through the open directory, so that what is read belongs to what will be used, whatever is
  // mounted meanwhile.
  auto json = ReadJsonFile("/proc/self/fd/" + std::to_string(root_fd) + "/" + kIdentityFile);
  if (!json) {
    if (json.error() == Code::kNotFound)
      return Fail(Code::kUnavailable, root + ": no volume here (" + kIdentityFile +
                                          " is missing); is its disk mounted?");
    if (json.error() == Code::kCorruption)
      return Fail(Code::kCorruption, file + ": damaged; it is not a JSON document");
    return Fail(
        Error(json.error().code(), file + ": " + std::string(Describe(json.error().code()))));
  }
  if (!json->is_object() || !json->contains("version") || !(*json)["version"].is_number_integer())
    return Fail(Code::kCorruption, file + ": damaged; it has no version");
  const auto version = (*json)["version"].get<int64_t>();
  if (version > kVersion)
    return Fail(Code::kInvalid, file + ": format " + std::to_string(version) +
                                    " is newer than this pxfs (" + std::to_string(kVersion) +
                                    "); use a newer pxfs");
  if (version < 1 || !HasText(*json, "cluster") || !HasText(*json, "volume"))
    return Fail(Code::kCorruption, file + ": damaged; it must hold version, cluster and volume");
  VolumeIdentity identity;
  identity.cluster_uuid = (*json)["cluster"];
  identity.volume_uuid = (*json)["volume"];
  if (HasText(*json, "name")) identity.name = (*json)["name"];
  return identity;
}

Status WriteVolumeIdentity(const std::string& root, const VolumeIdentity& identity) {
  return WriteJsonFile(root + "/" + kIdentityFile, {{"version", kVersion},
                                                    {"cluster", identity.cluster_uuid},
                                                    {"volume", identity.volume_uuid},
                                                    {"name", identity.name}});
}

Status CheckVolumeIdentity(const VolumeIdentity& found, const VolumeIdentity& expected,
                           const std::string& root) {
  if (found.cluster_uuid != expected.cluster_uuid)
    return Fail(Code::kInvalid, root + ": foreign volume: it belongs to cluster " +
                                    found.cluster_uuid + ", not to " + expected.cluster_uuid);
  if (found.volume_uuid != expected.volume_uuid)
    return Fail(Code::kInvalid, root + ": foreign volume: this is " + found.name + " (" +
                                    found.volume_uuid + "), not " + expected.name + " (" +
                                    expected.volume_uuid + "); is the right disk mounted here?");
  return {};
}

}  // namespace pxfs::volumes
