#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace pxfs {
namespace {

Result<int> Half(int n) {
  if (n % 2) return Fail(Code::kInvalid, std::to_string(n) + ": odd");
  return n / 2;
}

Result<int> Quarter(int n) {
  PXFS_ASSIGN(int half, Half(n));
  PXFS_TRY(Half(half));
  return half / 2;
}

TEST(Result, MacrosPassErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error().message(), "3: odd");
  EXPECT_EQ(Quarter(5).error(), Code::kInvalid);
}

TEST(Result, ErrnoKeepsAccessAndPermissionApart) {
  EXPECT_EQ(ErrnoCode(EACCES), Code::kAccess);
  EXPECT_EQ(ErrnoCode(EPERM), Code::kNotPermitted);
  EXPECT_EQ(ErrnoCode(ENOSPC), Code::kNoSpace);
  EXPECT_EQ(ErrnoError(ENOENT, "/x").message(), "/x: No such file or directory");
}

TEST(Result, ContextComesFirst) {
  EXPECT_EQ(Error(Code::kNotEmpty).WithContext("/d").message(), "/d: directory not empty");
}

}  // namespace
}  // namespace pxfs
