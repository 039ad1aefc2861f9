// A directory of the test's own below $TMPDIR or /tmp, gone with the object.
#pragma once

#include <string>

namespace pxfs::test {

class TemporaryDirectory {
 public:
  // Aborts when it cannot be made: no test can go on without.
  TemporaryDirectory();
  // Removes it with all it holds, without crossing into anything mounted below; a failure to do so
  // fails the test.
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  // Absolute. Other users may search it.
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace pxfs::test
