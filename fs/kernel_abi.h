// What pxfs says to the kernel beyond what libfuse 3.14 knows: kernel passthrough, INIT flags,
// notifications. Source: include/uapi/linux/fuse.h of Linux 6.18; the base structures come from
// <linux/fuse.h>.
#pragma once

#include <linux/fuse.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace pxfs::fs::abi {

// INIT flags. The upper word (flags2) is only read by the kernel with kInitExt.
inline constexpr uint32_t kInitExt = 1u << 30;
inline constexpr uint32_t kWritebackCache = 1u << 16;
inline constexpr uint32_t kHandleKillprivV2 = 1u << 28;
inline constexpr uint32_t kPassthrough2 = 1u << (37 - 32);
inline constexpr uint32_t kDirectIoAllowMmap2 = 1u << (36 - 32);
inline constexpr uint32_t kHasResend2 = 1u << (39 - 32);

// Words of an INIT request and of its reply, counted in uint32_t from behind the header.
inline constexpr int kInitInFlags = 3, kInitInFlags2 = 4;
inline constexpr int kInitOutFlags = 3, kInitOutFlags2 = 8, kInitOutMaxStackDepth = 9;

inline constexpr uint32_t kOpGetAttr = 3, kOpStatx = 52;
inline constexpr uint32_t kOpCreate = 35, kOpInit = 26, kOpTmpfile = 51;

// Open reply flags.
inline constexpr uint32_t kOpenPassthrough = 1u << 7;

// The reply to STATX (Linux 6.6). The request is one of GETATTR with two words behind it.
struct StatxTime {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t reserved;
};
struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  uint32_t mask;
  uint32_t blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode;
  uint16_t spare_mode;
  uint64_t ino, size, blocks, attributes_mask;
  StatxTime atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t spare_stat[14];
};
static_assert(sizeof(StatxOut) == 32 + 256);

// Set in a request's `unique` when FUSE_NOTIFY_RESEND made the kernel send it again.
inline constexpr uint64_t kUniqueResent = 1ull << 63;

inline constexpr uint32_t kNotifyResend = 7;
inline constexpr uint32_t kNotifyIncEpoch = 8;

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
inline constexpr unsigned long kBackingOpen = _IOW(229, 1, BackingMap);
inline constexpr unsigned long kBackingClose = _IOW(229, 2, uint32_t);

// fuse_open_out with the field that became the backing id.
struct OpenOut {
  uint64_t fh;
  uint32_t open_flags;
  int32_t backing_id;
};
static_assert(sizeof(OpenOut) == sizeof(fuse_open_out));

}  // namespace pxfs::fs::abi
