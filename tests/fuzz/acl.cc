// Access control lists as setxattr brings them. What is taken is kept as it is.
#include "meta/posix_acl.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pxfs;
  auto acl = meta::ParseAcl(fuzz::View(data, size));
  if (!acl) return 0;
  const std::string bytes = meta::SerializeAcl(*acl);
  const auto again = meta::ParseAcl(bytes);
  fuzz::Require(again && meta::SerializeAcl(*again) == bytes, "a list that was written is read");
  uint32_t mode = 0;
  meta::AclToMode(*acl, &mode);
  fuzz::Require((mode & ~0777u) == 0, "a list says nothing but permissions");
  meta::ModeToAcl(0741, &*acl);
  mode = 0770;
  meta::InheritAcl(&*acl, &mode);
  fuzz::Require((mode & ~0770u) == 0, "what is inherited grants no more than was asked for");
  return 0;
}
