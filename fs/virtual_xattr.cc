#include "fs/virtual_xattr.h"

#include <nlohmann/json.hpp>

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
  if (name == "heat") {
    if (!fs.options().heat) return Fail(Code::kNoData);
    const volumes::Heat heat = fs.options().heat->Get(inode);
    return nlohmann::json{{"opens", heat.opens}, {"bytes", heat.bytes}}.dump();
  }
  if (name == "stats" && inode == fs.options().root) return Stats(fs);
  if (name != "location" && name != "basepath" && name != "fullpath") return Fail(Code::kNoData);
  PXFS_ASSIGN(const meta::Location location, fs.metadata().Locate(ctx, inode));
  if (name == "location") {
    auto path = fs.metadata().PathOf(inode);
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
  if (name != "policy") return Fail(Code::kNotPermitted);
  PXFS_ASSIGN(const meta::Attr attr, fs.metadata().GetAttr(ctx, inode));
  if (ctx.uid != 0 && ctx.uid != attr.uid) return Fail(Code::kNotPermitted);
  PXFS_ASSIGN(const meta::Policy policy, meta::ParsePolicy(value));
  return fs.metadata().SetPolicy(ctx, inode, policy);
}

}  // namespace pxfs::fs
