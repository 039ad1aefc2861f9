#include "cli/ingest/history.h"

#include "base/bytes.h"

namespace pxfs::cli {
namespace {

constexpr const char* kPrefix = "ingest/";

// "1 <inode, hexadecimal> <source>". A record of a newer version, or one that is damaged, is none:
// it only says where a repeated command goes.
std::optional<MadeDirectory> Parse(const meta::Record& record) {
  const std::string& value = record.value;
  const size_t first = value.find(' '), second = value.find(' ', first + 1);
  if (second == std::string::npos || value.substr(0, first) != "1") return std::nullopt;
  const auto inode = FromHex(value.substr(first + 1, second - first - 1));
  if (!inode) return std::nullopt;
  return MadeDirectory{record.key.substr(std::string(kPrefix).size()), value.substr(second + 1),
                       InodeId(*inode)};
}

}  // namespace

Result<std::vector<MadeDirectory>> LoadHistory(Cluster& cluster, const meta::CallContext& ctx) {
  meta::MetadataService& metadata = cluster.metadata();
  std::vector<MadeDirectory> history;
  std::vector<meta::RecordWrite> forgotten;
  PXFS_TRY(meta::ForEachRecord(metadata, kPrefix, [&](const meta::Record& record) -> Status {
    std::optional<MadeDirectory> made = Parse(record);
    if (!made) return {};
    const auto attr = metadata.Resolve(ctx, kRootInode, made->path, /*follow_last=*/true);
    if (attr && (!made->inode || made->inode == attr->inode))
      history.push_back(std::move(*made));
    else if (attr || attr.error() == Code::kNotFound || attr.error() == Code::kNotDirectory)
      forgotten.push_back({record.key, std::nullopt});
    else
      return Fail(attr.error());
    return {};
  }));
  if (!forgotten.empty()) PXFS_TRY(metadata.WriteRecords(forgotten, /*sync=*/false));
  return history;
}

Status Remember(Cluster& cluster, const MadeDirectory& made) {
  const meta::RecordWrite write{kPrefix + made.path,
                                "1 " + ToHex(made.inode.value) + " " + made.source};
  return cluster.metadata().WriteRecords({&write, 1}, /*sync=*/false);
}

}  // namespace pxfs::cli
