#include "meta/content.h"
#include "meta/keys.h"
#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<std::vector<Location>> LocalService::FilesToRecover() {
  for (const SessionId session : sessions_.Abandoned(options_.session_grace))
    PXFS_TRY(EndSession(session));
  std::vector<InodeId> inodes;
  const std::string begin = keys::Make(keys::Family::kOpenForWrite);
  PXFS_TRY(
      store_->engine().Scan(begin, keys::EndOf(begin), [&](std::string_view key, std::string_view) {
        uint64_t inode = 0, session = 0;
        if (keys::ReadNumber(key, 0, &inode) && keys::ReadNumber(key, 1, &session) && session == 0)
          inodes.push_back(InodeId(inode));
        return true;
      }));
  std::vector<Location> files;
  for (const InodeId inode : inodes) {
    const auto record = store_->GetInode(inode);
    if (!record && record.error().code() == Code::kNotFound) continue;
    if (!record) return Fail(record.error());
    if (!(*record)->removed()) files.push_back(LocationOf(**record));
  }
  return files;
}

Status LocalService::CommitRecovered(InodeId inode, const ContentState& content) {
  PXFS_TRY(store_->Run([&](Transaction& tx) -> Status {
    PXFS_ASSIGN(InodeRecord * record, EditOpenFile(tx, inode, SessionId()));
    ApplyContent(*record, content);
    EraseWriter(tx, *record, SessionId());
    PXFS_TRY(DropCopies(tx, *record));
    if (record->writers == 0) PXFS_TRY(WantCopies(tx, *record));
    return {};
  }));
  Notices notices(sessions_, SessionId());
  notices.Content(inode);
  notices.Send();
  return {};
}

}  // namespace pxfs::meta
