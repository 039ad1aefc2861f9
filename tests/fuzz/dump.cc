// Dumps of the metadata store: whole files, and, since checksums would stop nearly every change,
// payloads of blocks whose checksums are right.
#include "meta/dump.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace pxfs;

std::string Block(std::string_view payload) {
  const Hash128 hash = Hash(payload);
  std::string block;
  AppendBigEndian64(block, payload.size());
  AppendBigEndian64(block, hash.high);
  AppendBigEndian64(block, hash.low);
  block += payload;
  return block;
}

// The input as the header, or as the records behind a right one.
std::string Wrap(std::string_view payload, bool as_header, uint64_t records) {
  std::string file = "PXFSDUMP";
  AppendBigEndian64(file, 1);
  file += Block(as_header ? payload : R"({"cluster":"u","made":1,"name":"n","schema":1})");
  if (!as_header && !payload.empty()) file += Block(payload);
  file += Block({});
  AppendBigEndian64(file, records);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = ::memfd_create("dump", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  std::string_view input = fuzz::View(data, size);
  const uint8_t choice = fuzz::TakeChoice(&input);
  const std::string file =
      choice % 3 == 0 ? std::string(input) : Wrap(input, choice % 3 == 1, choice / 3);
  fuzz::Require(::ftruncate(fd, 0) == 0, "a file can be emptied");
  fuzz::Require(::pwrite(fd, file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()),
                "a file can be written");
  uint64_t seen = 0, bytes = 0;
  const auto summary = meta::ReadDump(path, [&](std::string_view key, std::string_view value) {
    ++seen;
    bytes += key.size() + value.size();
    return Status();
  });
  fuzz::Require(bytes <= file.size(), "records are within the file");
  if (summary) fuzz::Require(summary->records == seen, "the number of records is right");
  return 0;
}
