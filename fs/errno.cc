#include "fs/errno.h"

#include <cerrno>

namespace pxfs::fs {

int ToErrno(Code code) {
  switch (code) {
    case Code::kNotFound:
      return ENOENT;
    case Code::kExists:
      return EEXIST;
    case Code::kNotDirectory:
      return ENOTDIR;
    case Code::kIsDirectory:
      return EISDIR;
    case Code::kNotEmpty:
      return ENOTEMPTY;
    case Code::kAccess:
      return EACCES;
    case Code::kNotPermitted:
      return EPERM;
    case Code::kNoSpace:
      return ENOSPC;
    case Code::kQuota:
      return EDQUOT;
    case Code::kNameTooLong:
      return ENAMETOOLONG;
    case Code::kTooManyLinks:
      return EMLINK;
    case Code::kCrossDevice:
      return EXDEV;
    case Code::kInvalid:
      return EINVAL;
    case Code::kLoop:
      return ELOOP;
    case Code::kNoData:
      return ENODATA;
    case Code::kRange:
      return ERANGE;
    case Code::kTooBig:
      return E2BIG;
    case Code::kFileTooBig:
      return EFBIG;
    case Code::kBusy:
      return EBUSY;
    case Code::kReadOnly:
      return EROFS;
    case Code::kStale:
      return ESTALE;
    case Code::kTextBusy:
      return ETXTBSY;
    case Code::kNotSupported:
      return EOPNOTSUPP;
    case Code::kNotImplemented:
      return ENOSYS;
    case Code::kTooManyOpen:
      return ENFILE;  // it is the mount that has no more, not the caller
    case Code::kNoMemory:
      return ENOMEM;
    case Code::kInterrupted:
      return EINTR;
    case Code::kTimeout:
      return ETIMEDOUT;
    case Code::kNoDevice:
      return ENXIO;
    case Code::kIo:
    case Code::kCorruption:
    case Code::kUnavailable:
    case Code::kConflict:
      return EIO;
  }
  return EIO;
}

}  // namespace pxfs::fs
