#include "meta/erase.h"

#include <limits>

#include "meta/keys.h"

namespace pxfs::meta {

Status EraseInodeAndAll(Transaction& tx, InodeId inode) {
  const auto record = tx.GetInode(inode);
  if (!record) {
    if (record.error().code() == Code::kNotFound) return {};
    return Fail(record.error());
  }
  if ((*record)->xattrs > 0) {
    const std::string begin = keys::Xattr(inode, "");
    PXFS_ASSIGN(const std::vector<KvWrite> xattrs,
                tx.Scan(begin, keys::EndOf(begin), std::numeric_limits<size_t>::max()));
    for (const KvWrite& xattr : xattrs) tx.Erase(xattr.key);
  }
  if ((*record)->writers > 0) {
    const std::string begin = keys::Make(keys::Family::kOpenForWrite, inode.value);
    PXFS_ASSIGN(const std::vector<KvWrite> open,
                tx.Scan(begin, keys::EndOf(begin), std::numeric_limits<size_t>::max()));
    for (const KvWrite& writer : open) tx.Erase(writer.key);
  }
  if ((*record)->attr.is_directory()) {
    tx.Erase(keys::Policy(inode));
    if ((*record)->collided) PXFS_TRY(tx.EraseRemains(inode));
  }
  return tx.EraseInode(inode);
}

}  // namespace pxfs::meta
