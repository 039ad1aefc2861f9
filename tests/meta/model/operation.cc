#include "tests/meta/model/operation.h"

namespace pxfs::meta::model {

std::ostream& operator<<(std::ostream& out, const Operation& operation) {
  static constexpr const char* kNames[] = {
      "lookup",      "mkdir",    "mknod",       "symlink",    "create",         "create nameless",
      "link",        "unlink",   "rmdir",       "rename",     "setattr",        "truncate",
      "setxattr",    "getxattr", "removexattr", "readlink",   "open for write", "commit content",
      "close write", "forget",   "scan",        "set policy", "get policy",     "compare tree",
      "reopen"};
  return out << kNames[operation.kind] << "(" << operation.a << ", " << operation.b << ", "
             << operation.c << ", " << operation.d << ")";
}

rc::Gen<Operation> AnyOperation() {
  using O = Operation;
  const auto kind = rc::gen::weightedElement<O::Kind>(
      {{6, O::kLookup},          {14, O::kMakeDirectory}, {5, O::kMakeSpecial}, {5, O::kSymlink},
       {16, O::kCreate},         {3, O::kCreateNameless}, {10, O::kLink},       {10, O::kUnlink},
       {6, O::kRemoveDirectory}, {22, O::kRename},        {8, O::kSetAttr},     {3, O::kTruncate},
       {6, O::kSetXattr},        {3, O::kGetXattr},       {3, O::kRemoveXattr}, {2, O::kReadLink},
       {6, O::kOpenForWrite},    {3, O::kCommitContent},  {7, O::kCloseWrite},  {5, O::kForget},
       {12, O::kScan},           {3, O::kSetPolicy},      {3, O::kGetPolicy}});
  const auto rare = rc::gen::weightedElement<O::Kind>({{3, O::kCompareTree}, {2, O::kReopen}});
  const auto number = rc::gen::inRange<uint32_t>(0, 10'000);
  return rc::gen::build<Operation>(
      rc::gen::set(&O::kind, rc::gen::weightedOneOf<O::Kind>({{200, kind}, {1, rare}})),
      rc::gen::set(&O::a, number), rc::gen::set(&O::b, number), rc::gen::set(&O::c, number),
      rc::gen::set(&O::d, number));
}

}  // namespace pxfs::meta::model
