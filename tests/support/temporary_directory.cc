#include "tests/support/temporary_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/process.h"

namespace pxfs::test {

TemporaryDirectory::TemporaryDirectory() {
  const char* parent = std::getenv("TMPDIR");
  path_ = std::string(parent && *parent ? parent : "/tmp") + "/pxfs-test-XXXXXX";
  if (!::mkdtemp(path_.data()) || ::chmod(path_.c_str(), 0755) != 0) {
    std::perror(path_.c_str());
    std::abort();
  }
}

TemporaryDirectory::~TemporaryDirectory() {
  auto removed = RunProgram({"rm", "-rf", "--one-file-system", path_});
  if (!removed || removed->status != 0)
    ADD_FAILURE() << "cannot remove " << path_ << ": "
                  << (removed ? removed->output : removed.error().message());
}

}  // namespace pxfs::test
