#include <algorithm>

#include "meta/keys.h"
#include "meta/local_service_impl.h"
#include "meta/names.h"

namespace pxfs::meta {
namespace {

constexpr uint32_t kMaxPage = 65'536;

struct Listed {
  uint64_t slot = 0;
  EntryRecord entry;
};

// Entries behind `cookie`, one more than asked for to see whether any follow.
Result<std::vector<Listed>> ScanEntries(KvEngine& engine, InodeId directory, uint64_t cookie,
                                        uint32_t limit) {
  std::vector<Listed> listed;
  listed.reserve(std::min(limit, 1024u) + 1);
  Status status;
  const std::string end = keys::EndOf(keys::Make(keys::Family::kEntry, directory.value));
  PXFS_TRY(engine.Scan(
      keys::Entry(directory, cookie + 1), end, [&](std::string_view key, std::string_view value) {
        auto entry = Decode<EntryRecord>(key, value);
        uint64_t slot = 0;
        if (!entry || !keys::ReadNumber(key, 1, &slot)) {
          status = entry ? Status(DamagedRecord(key, "no slot")) : Fail(entry.error());
          return false;
        }
        if (!entry->removed()) listed.push_back({slot, std::move(*entry)});
        return listed.size() <= limit;
      }));
  PXFS_TRY(status);
  return listed;
}

// Whether the slot still refers to `child`: the scan saw a moment that is over.
Result<bool> StillThere(Store& store, InodeId directory, const Listed& listed) {
  return store.Read([&](Transaction& tx) -> Result<bool> {
    PXFS_ASSIGN(const Transaction::Found found, tx.FindEntry(directory, listed.entry.name));
    if (!found.entry || found.entry->child != listed.entry.child) return false;
    const auto child = tx.GetInode(found.entry->child);
    if (child || child.error().code() != Code::kNotFound) return false;
    return true;
  });
}

}  // namespace

Result<DirPage> LocalService::ReadDirectory(const CallContext& ctx, InodeId directory,
                                            uint64_t cookie, uint32_t limit, bool with_attr) {
  DirPage page;
  const auto removed = store_->Read([&](Transaction& tx) -> Result<bool> {
    PXFS_ASSIGN(const InodePtr record, tx.GetInode(directory));
    if (!record->attr.is_directory()) return Fail(Code::kNotDirectory);
    PXFS_TRY(CheckAccess(tx, ctx, *record, kMayRead));
    page.parent = record->parent;
    return record->removed();
  });
  if (!removed) return Fail(removed.error());
  page.end = true;
  if (*removed) return page;

  limit = std::clamp(limit, 1u, kMaxPage);
  PXFS_ASSIGN(std::vector<Listed> listed, ScanEntries(store_->engine(), directory, cookie, limit));
  page.end = listed.size() <= limit;
  if (!page.end) listed.pop_back();
  page.entries.reserve(listed.size());
  for (Listed& item : listed) {
    DirEntry entry;
    entry.cookie = item.slot;
    entry.attr.inode = item.entry.child;
    entry.attr.mode = item.entry.type;
    if (with_attr) {
      const auto child = store_->GetInode(item.entry.child);
      if (!child && child.error().code() == Code::kNotFound) {
        PXFS_ASSIGN(const bool dangling, StillThere(*store_, directory, item));
        if (!dangling) continue;
        return DamagedRecord(keys::Inode(item.entry.child),
                             "missing, but \"" + item.entry.name + "\" refers to it");
      }
      if (!child) return Fail(child.error());
      entry.attr = (*child)->attr;
    }
    entry.name = std::move(item.entry.name);
    page.entries.push_back(std::move(entry));
  }
  return page;
}

}  // namespace pxfs::meta
