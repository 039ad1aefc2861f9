// Result<T>: how every fallible function of pxfs reports an expected failure.
//
// An Error is a Code, fine enough for every errno that POSIX promises, and a message for people:
// what failed and on what. Hot paths (a name that is not there) carry no message, so they allocate
// nothing. Only fs/ turns a Code into an errno (fs/errno.h); ErrnoCode is the way in, for system
// calls.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace pxfs {

enum class Code : uint8_t {
  kNotFound = 1,    // ENOENT
  kExists,          // EEXIST
  kNotDirectory,    // ENOTDIR
  kIsDirectory,     // EISDIR
  kNotEmpty,        // ENOTEMPTY
  kAccess,          // EACCES: permission bits or ACL forbid it
  kNotPermitted,    // EPERM: the operation itself is not allowed
  kNoSpace,         // ENOSPC
  kQuota,           // EDQUOT
  kNameTooLong,     // ENAMETOOLONG
  kTooManyLinks,    // EMLINK
  kCrossDevice,     // EXDEV
  kInvalid,         // EINVAL
  kLoop,            // ELOOP
  kNoData,          // ENODATA: no such xattr
  kRange,           // ERANGE: the caller's buffer is too small
  kTooBig,          // E2BIG
  kFileTooBig,      // EFBIG
  kBusy,            // EBUSY
  kReadOnly,        // EROFS
  kStale,           // ESTALE
  kTextBusy,        // ETXTBSY
  kNotSupported,    // EOPNOTSUPP
  kNotImplemented,  // ENOSYS
  kTooManyOpen,     // EMFILE
  kNoMemory,        // ENOMEM
  kInterrupted,     // EINTR
  kTimeout,         // ETIMEDOUT
  kNoDevice,        // ENXIO
  kIo,              // EIO
  kCorruption,      // EIO: bytes from disk or wire are not what they must be
  kUnavailable,     // EIO to a program: a peer or volume that is not there now
  kConflict,        // never leaves meta/: the read set of a transaction changed
};

// The name of a code as in "no such file or directory"; never empty.
std::string_view Describe(Code code);

class Error {
 public:
  explicit Error(Code code) : code_(code) {}
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Code code() const { return code_; }
  // The message, or the description of the code where there is none.
  std::string message() const;
  // The same error with "context: " before its message.
  Error WithContext(std::string_view context) const;

  friend bool operator==(const Error& a, Code b) { return a.code_ == b; }

 private:
  Code code_;
  std::string message_;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> Fail(Code code) { return tl::unexpected<Error>(Error(code)); }
inline tl::unexpected<Error> Fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error(code, std::move(message)));
}
inline tl::unexpected<Error> Fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// The code for an errno of a system call; an errno without one of its own becomes kIo.
Code ErrnoCode(int error_number);
// "what: strerror" with the code of error_number.
Error ErrnoError(int error_number, std::string_view what);
inline tl::unexpected<Error> FailErrno(int error_number, std::string_view what) {
  return tl::unexpected<Error>(ErrnoError(error_number, what));
}

}  // namespace pxfs

// Returns the error of `expression` (a Result) from the enclosing function, if it has one.
#define PXFS_TRY(expression)                                                      \
  do {                                                                            \
    if (auto pxfs_try_result = (expression); !pxfs_try_result)                    \
      return ::tl::unexpected<::pxfs::Error>(std::move(pxfs_try_result).error()); \
  } while (0)

#define PXFS_CONCAT_INNER(a, b) a##b
#define PXFS_CONCAT(a, b) PXFS_CONCAT_INNER(a, b)
// PXFS_ASSIGN(auto x, F()): declares x from the value of F(), or returns its error.
#define PXFS_ASSIGN(declaration, expression)                     \
  auto PXFS_CONCAT(pxfs_result_, __LINE__) = (expression);       \
  if (!PXFS_CONCAT(pxfs_result_, __LINE__))                      \
    return ::tl::unexpected<::pxfs::Error>(                      \
        std::move(PXFS_CONCAT(pxfs_result_, __LINE__)).error()); \
  declaration = std::move(*PXFS_CONCAT(pxfs_result_, __LINE__))
