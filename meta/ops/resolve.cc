#include <climits>

#include "meta/local_service_impl.h"
#include "meta/names.h"

namespace pxfs::meta {
namespace {

constexpr int kMaxSymlinks = 40;

// Takes the first component off `rest`; "" when there is none.
std::string TakeComponent(std::string& rest) {
  const size_t begin = rest.find_first_not_of('/');
  if (begin == rest.npos) {
    rest.clear();
    return {};
  }
  const size_t end = std::min(rest.find('/', begin), rest.size());
  std::string component = rest.substr(begin, end - begin);
  rest.erase(0, end);
  return component;
}

}  // namespace

Result<Attr> LocalService::Resolve(const CallContext& ctx, InodeId start, std::string_view path,
                                   bool follow_last) {
  if (path.size() > PATH_MAX) return Fail(Code::kNameTooLong);
  std::string rest(path);
  PXFS_ASSIGN(Attr at, GetAttr(ctx, start));
  for (int symlinks = 0;;) {
    const std::string component = TakeComponent(rest);
    if (component.empty()) break;
    const InodeId directory = at.inode;
    PXFS_ASSIGN(at, Lookup(ctx, directory, component));
    const bool last = rest.empty();
    if (!at.is_symlink() || (last && !follow_last)) continue;
    if (++symlinks > kMaxSymlinks) return Fail(Code::kLoop);
    PXFS_ASSIGN(std::string target, ReadLink(ctx, at.inode));
    // An absolute target is one from the root of the namespace.
    const InodeId from = target.starts_with('/') ? kRootInode : directory;
    rest.insert(0, target);
    if (rest.size() > PATH_MAX) return Fail(Code::kNameTooLong);
    PXFS_ASSIGN(at, GetAttr(ctx, from));
  }
  if (path.ends_with('/') && !at.is_directory()) return Fail(Code::kNotDirectory);
  return at;
}

}  // namespace pxfs::meta
