#include "fs/virtual_xattr.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "volumes/location.h"

namespace pxfs::fs {
namespace {

constexpr std::string_view kPrefix = "user.pxfs.";

Result<const meta::Replica*> Primary(const meta::Location& location) {
  for (const auto& replica : location.replicas)
    if (replica.primary) return &replica;
  return Fail(Code::kNoData);
}

std::string Stats(FileSystem& fs) {
  const RouteCounters& counters = fs.counters();
  return nlohmann::json{{"passthrough_opens", counters.passthrough_opens.load()},
                        {"passthrough_bytes_offered", counters.passthrough_bytes_offered.load()},
                        {"daemon_opens", counters.daemon_opens.load()},
                        {"daemon_bytes_read", counters.daemon_bytes_read.load()},
                        {"daemon_bytes_written", counters.daemon_bytes_written.load()},
                        {"open_inodes", fs.open_files().open_inodes()}}
      .dump();
}

// Of a file what it asks for itself, else what its policy says.
Result<std::string> GetCopies(FileSystem& fs, const meta::CallContext& ctx, InodeId inode) {
  PXFS_ASSIGN(const meta::Location file, fs.metadata().Locate(ctx, inode));
  if (file.wishes.copies != 0) return std::to_string(file.wishes.copies);
  PXFS_ASSIGN(const meta::PolicyView view, fs.metadata().GetPolicy(inode));
  return std::to_string(view.effective.copies.value_or(1));
}

// The names of the volumes that it is pinned to, separated by commas.
Result<std::string> GetPin(FileSystem& fs, const meta::CallContext& ctx, InodeId inode) {
  PXFS_ASSIGN(const meta::Location file, fs.metadata().Locate(ctx, inode));
  if (file.attr.is_directory()) {
    PXFS_ASSIGN(const meta::PolicyView view, fs.metadata().GetPolicy(inode));
    if (view.effective.pin_volume.empty()) return Fail(Code::kNoData);
    return view.effective.pin_volume;
  }
  std::string names;
  for (const VolumeId volume : file.wishes.volumes)
    names += (names.empty() ? "" : ",") + fs.volumes().NameOf(volume);
  if (names.empty()) return Fail(Code::kNoData);
  return names;
}

// Empty: none of its own.
Result<uint32_t> ParseCopies(std::string_view value) {
  uint32_t copies = 0;
  if (value.empty()) return copies;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), copies);
  if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size())
    return Fail(Code::kInvalid);
  return copies;
}

Result<std::set<VolumeId>> ParsePins(FileSystem& fs, std::string_view value) {
  std::set<VolumeId> pins;
  PXFS_ASSIGN(const auto listed, fs.metadata().ListVolumes());
  while (!value.empty()) {
    const std::string_view name = value.substr(0, value.find(','));
    value.remove_prefix(std::min(name.size() + 1, value.size()));
    const auto found = std::find_if(listed.begin(), listed.end(),
                                    [&](const auto& volume) { return volume.name == name; });
    if (found == listed.end()) return Fail(Code::kInvalid);
    pins.insert(found->id);
  }
  return pins;
}

Status SetOnDirectory(FileSystem& fs, const meta::CallContext& ctx, InodeId inode, bool copies,
                      std::string_view value) {
  PXFS_ASSIGN(const meta::PolicyView view, fs.metadata().GetPolicy(inode));
  meta::Policy policy = view.own;
  if (copies) {
    PXFS_ASSIGN(const uint32_t number, ParseCopies(value));
    policy.copies = number == 0 ? std::nullopt : std::optional(number);
  } else {
    policy.placement = value.empty() ? std::nullopt : std::optional(meta::Placement::kPin);
    policy.pin_volume = value;
  }
  return fs.metadata().SetPolicy(ctx, inode, policy);
}

Status SetOnFile(FileSystem& fs, const meta::CallContext& ctx, InodeId inode, bool copies,
                 std::string_view value) {
  PXFS_ASSIGN(const meta::Location file, fs.metadata().Locate(ctx, inode));
  meta::CopyWishes wishes = file.wishes;
  if (copies) {
    PXFS_ASSIGN(wishes.copies, ParseCopies(value));
  } else {
    PXFS_ASSIGN(wishes.volumes, ParsePins(fs, value));
  }
  return fs.metadata().SetCopyWishes(ctx, inode, wishes);
}

}  // namespace

bool IsVirtualXattr(std::string_view name) { return name.substr(0, kPrefix.size()) == kPrefix; }

Result<std::string> GetVirtualXattr(FileSystem& fs, const meta::CallContext& ctx, InodeId inode,
                                    std::string_view name) {
  name.remove_prefix(kPrefix.size());
  if (name == "cluster") return fs.options().cluster_directory;
  if (name == "path") return fs.metadata().PathOf(inode);
  if (name == "policy") {
    PXFS_ASSIGN(const meta::PolicyView view, fs.metadata().GetPolicy(inode));
    return meta::ToText(view.effective);
  }
  if (name == "copies") return GetCopies(fs, ctx, inode);
  if (name == "pin") return GetPin(fs, ctx, inode);
  if (name == "heat") {
    if (!fs.options().heat) return Fail(Code::kNoData);
    const volumes::Heat heat = fs.options().heat->Get(inode);
    return nlohmann::json{{"opens", heat.opens}, {"bytes", heat.bytes}}.dump();
  }
  if (name == "stats" && inode == fs.options().root) return Stats(fs);
  if (name != "location" && name != "basepath" && name != "fullpath") return Fail(Code::kNoData);
  PXFS_ASSIGN(meta::Location location, fs.metadata().Locate(ctx, inode));
  if (name == "location") {
    auto path = fs.metadata().PathOf(inode);
    if (const auto statistics = fs.metadata().GetStatistics())
      volumes::AddCopiesUnderWay(location, statistics->copying.under_way);
    return volumes::LocationJson(location, fs.volumes(), path ? *path : std::string()).dump();
  }
  PXFS_ASSIGN(const meta::Replica* primary, Primary(location));
  PXFS_ASSIGN(auto volume, fs.volumes().Require(primary->volume));
  if (name == "basepath") return volume->root();
  return fs.volumes().ObjectPath(*primary, inode);
}

Status SetVirtualXattr(FileSystem& fs, const meta::CallContext& ctx, InodeId inode,
                       std::string_view name, std::string_view value) {
  name.remove_prefix(kPrefix.size());
  const bool copies = name == "copies";
  if (name != "policy" && name != "pin" && !copies) return Fail(Code::kNotPermitted);
  PXFS_ASSIGN(const meta::Attr attr, fs.metadata().GetAttr(ctx, inode));
  if (ctx.uid != 0 && ctx.uid != attr.uid) return Fail(Code::kNotPermitted);
  if (name != "policy")
    return attr.is_directory() ? SetOnDirectory(fs, ctx, inode, copies, value)
                               : SetOnFile(fs, ctx, inode, copies, value);
  PXFS_ASSIGN(const meta::Policy policy, meta::ParsePolicy(value));
  return fs.metadata().SetPolicy(ctx, inode, policy);
}

}  // namespace pxfs::fs
