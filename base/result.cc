#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace pxfs {

std::string_view Describe(Code code) {
  switch (code) {
    case Code::kNotFound:
      return "no such file or directory";
    case Code::kExists:
      return "already exists";
    case Code::kNotDirectory:
      return "not a directory";
    case Code::kIsDirectory:
      return "is a directory";
    case Code::kNotEmpty:
      return "directory not empty";
    case Code::kAccess:
      return "permission denied";
    case Code::kNotPermitted:
      return "operation not permitted";
    case Code::kNoSpace:
      return "no space left";
    case Code::kQuota:
      return "quota exceeded";
    case Code::kNameTooLong:
      return "name too long";
    case Code::kTooManyLinks:
      return "too many links";
    case Code::kCrossDevice:
      return "crosses file systems";
    case Code::kInvalid:
      return "invalid argument";
    case Code::kLoop:
      return "too many levels of symbolic links";
    case Code::kNoData:
      return "no such attribute";
    case Code::kRange:
      return "buffer too small";
    case Code::kTooBig:
      return "argument too big";
    case Code::kFileTooBig:
      return "file too big";
    case Code::kBusy:
      return "in use";
    case Code::kReadOnly:
      return "read-only";
    case Code::kStale:
      return "stale handle";
    case Code::kTextBusy:
      return "text file busy";
    case Code::kNotSupported:
      return "not supported";
    case Code::kNotImplemented:
      return "not implemented";
    case Code::kTooManyOpen:
      return "too many open files";
    case Code::kNoMemory:
      return "out of memory";
    case Code::kInterrupted:
      return "interrupted";
    case Code::kTimeout:
      return "timed out";
    case Code::kNoDevice:
      return "no such device or address";
    case Code::kIo:
      return "input/output error";
    case Code::kCorruption:
      return "corrupt data";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kConflict:
      return "conflicting change";
  }
  return "unknown error";
}

std::string Error::message() const {
  return message_.empty() ? std::string(Describe(code_)) : message_;
}

Error Error::WithContext(std::string_view context) const {
  return Error(code_, std::string(context) + ": " + message());
}

Code ErrnoCode(int error_number) {
  switch (error_number) {
    case ENOENT:
      return Code::kNotFound;
    case EEXIST:
      return Code::kExists;
    case ENOTDIR:
      return Code::kNotDirectory;
    case EISDIR:
      return Code::kIsDirectory;
    case ENOTEMPTY:
      return Code::kNotEmpty;
    case EACCES:
      return Code::kAccess;
    case EPERM:
      return Code::kNotPermitted;
    case ENOSPC:
      return Code::kNoSpace;
    case EDQUOT:
      return Code::kQuota;
    case ENAMETOOLONG:
      return Code::kNameTooLong;
    case EMLINK:
      return Code::kTooManyLinks;
    case EXDEV:
      return Code::kCrossDevice;
    case EINVAL:
      return Code::kInvalid;
    case ELOOP:
      return Code::kLoop;
    case ENODATA:
      return Code::kNoData;
    case ERANGE:
      return Code::kRange;
    case E2BIG:
      return Code::kTooBig;
    case EFBIG:
      return Code::kFileTooBig;
    case EBUSY:
      return Code::kBusy;
    case EROFS:
      return Code::kReadOnly;
    case ESTALE:
      return Code::kStale;
    case ETXTBSY:
      return Code::kTextBusy;
    case EOPNOTSUPP:
      return Code::kNotSupported;
    case ENOSYS:
      return Code::kNotImplemented;
    case EMFILE:
    case ENFILE:
      return Code::kTooManyOpen;
    case ENOMEM:
      return Code::kNoMemory;
    case EINTR:
      return Code::kInterrupted;
    case ETIMEDOUT:
      return Code::kTimeout;
    case ENXIO:
    case ENODEV:
      return Code::kNoDevice;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
      return Code::kUnavailable;
    default:
      return Code::kIo;
  }
}

Error ErrnoError(int error_number, std::string_view what) {
  return Error(ErrnoCode(error_number), std::string(what) + ": " + std::strerror(error_number));
}

}  // namespace pxfs
