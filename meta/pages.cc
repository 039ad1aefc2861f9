#include "meta/service.h"

namespace pxfs::meta {
namespace {

constexpr uint32_t kPage = 1000;

}  // namespace

Status ForEachRecord(MetadataService& metadata, std::string_view prefix,
                     const std::function<Status(const Record& record)>& visit) {
  for (std::string after;;) {
    PXFS_ASSIGN(const std::vector<Record> page, metadata.ScanRecords(prefix, after, kPage));
    for (const Record& record : page) PXFS_TRY(visit(record));
    if (page.size() < kPage) return {};
    after = page.back().key.substr(prefix.size());
  }
}

Status ForEachInodeOn(MetadataService& metadata, VolumeId volume,
                      const std::function<Status(InodeId inode)>& visit) {
  for (InodeId after;;) {
    PXFS_ASSIGN(const std::vector<InodeId> page, metadata.ListVolumeInodes(volume, after, kPage));
    for (const InodeId inode : page) PXFS_TRY(visit(inode));
    if (page.size() < kPage) return {};
    after = page.back();
  }
}

}  // namespace pxfs::meta
