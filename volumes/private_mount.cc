#include "volumes/private_mount.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>

namespace pxfs::volumes {
namespace {

uint64_t AttributeOf(AccessTimes::Rule rule) {
  switch (rule) {
    case AccessTimes::Rule::kNever:
      return MOUNT_ATTR_NOATIME;
    case AccessTimes::Rule::kRelative:
      return MOUNT_ATTR_RELATIME;
    case AccessTimes::Rule::kAlways:
      return MOUNT_ATTR_STRICTATIME;
  }
  return MOUNT_ATTR_RELATIME;
}

}  // namespace

Result<UniqueFd> MakePrivateMount(int directory_fd, const AccessTimes& rule) {
  UniqueFd mount(
      ::open_tree(directory_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!mount) return FailErrno(errno, "open_tree");
  PXFS_TRY(SetAccessTimes(mount.get(), rule));
  return mount;
}

Status SetAccessTimes(int private_mount_fd, const AccessTimes& rule) {
  mount_attr attributes{};
  attributes.attr_clr = MOUNT_ATTR__ATIME;
  attributes.attr_set = AttributeOf(rule.rule);
  // What others mount below the directory must not be kept busy here.
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(private_mount_fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return FailErrno(errno, "mount_setattr");
  return {};
}

}  // namespace pxfs::volumes
