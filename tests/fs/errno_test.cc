#include "fs/errno.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace pxfs::fs {
namespace {

// What a system call on an object answers reaches the program that asked, unchanged.
TEST(Errno, SystemErrorsComeBackAsThemselves) {
  for (int error :
       {ENOENT, EEXIST,       ENOTDIR, EISDIR,    ENOTEMPTY, EACCES,  EPERM,      ENOSPC,
        EDQUOT, ENAMETOOLONG, EMLINK,  EXDEV,     EINVAL,    ELOOP,   ENODATA,    ERANGE,
        E2BIG,  EFBIG,        EBUSY,   EROFS,     ESTALE,    ETXTBSY, EOPNOTSUPP, ENOSYS,
        ENFILE, ENOMEM,       EINTR,   ETIMEDOUT, ENXIO,     EIO}) {
    EXPECT_EQ(ToErrno(ErrnoCode(error)), error);
  }
}

TEST(Errno, WhatHasNoErrnoIsAnInputOutputError) {
  for (Code code : {Code::kCorruption, Code::kUnavailable, Code::kConflict})
    EXPECT_EQ(ToErrno(code), EIO);
}

}  // namespace
}  // namespace pxfs::fs
