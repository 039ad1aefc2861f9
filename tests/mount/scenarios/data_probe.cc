#include "tests/mount/scenarios/data_probe.h"

#include <fcntl.h>
#include <unistd.h>

namespace pxfs::test {

std::string Pattern(size_t size, unsigned seed) {
  std::string data(size, '\0');
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<char>((i * 31 + i / 251 + seed) & 0xff);
  return data;
}

void Fallocate(Probe& p, int fd, int mode, off_t offset, off_t length) {
  p.Do("fallocate mode " + std::to_string(mode) + " " + std::to_string(offset) + "+" +
           std::to_string(length),
       [&] { return ::fallocate(fd, mode, offset, length); });
}

void Extents(Probe& p, int fd) {
  for (off_t at = 0; at >= 0;) {
    at = p.Do("data at or after " + std::to_string(at), [&] { return ::lseek(fd, at, SEEK_DATA); });
    if (at < 0) break;
    at = p.Do("hole at or after " + std::to_string(at), [&] { return ::lseek(fd, at, SEEK_HOLE); });
  }
}

}  // namespace pxfs::test
