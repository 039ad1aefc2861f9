#include "meta/log_tail.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <cctype>
#include <cstdint>
#include <memory>
#include <sstream>
#include <vector>

#include "base/logging.h"

namespace pxfs::meta {
namespace {

// LevelDB's doc/log_format.md.
constexpr size_t kBlockBytes = 32768;
constexpr size_t kHeaderBytes = 4 + 2 + 1;
enum RecordType : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

uint32_t ReadNumber(std::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = bytes.size(); i > 0; --i)
    number = number << 8 | static_cast<uint8_t>(bytes[i - 1]);
  return number;
}

// Checksums are stored rotated, with a constant added.
uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8; }

// The fragment at the start of `rest`, of a block: its size with the header, and its type; 0 where
// there is none.
size_t Fragment(std::string_view rest, uint8_t* type) {
  if (rest.size() < kHeaderBytes) return 0;
  const size_t size = kHeaderBytes + ReadNumber(rest.substr(4, 2));
  *type = static_cast<uint8_t>(rest[6]);
  if (size > rest.size() || *type < kFull || *type > kLast) return 0;
  Crc32c crc;
  crc.process_bytes(rest.data() + 6, size - 6);
  return Masked(crc.checksum()) == ReadNumber(rest.substr(0, 4)) ? size : 0;
}

// docs/formats.md: what was durable when the database was closed, as "NAME BYTES" a line.
constexpr char kClosed[] = "closed";

uint64_t LogNumber(const std::string& name) {
  const size_t dot = name.find('.');
  const bool log = dot != std::string::npos && dot > 0 && name.substr(dot) == ".log" &&
                   std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(dot),
                               [](unsigned char c) { return std::isdigit(c); });
  return log ? std::stoull(name) : 0;
}

// The files that are written to: the newest log, and the manifest that CURRENT names. Empty where
// there is none. Whatever is wrong with CURRENT, LevelDB says it better.
struct Written {
  std::string log, manifest;
};

leveldb::Status FindWritten(DiskEnv& disk, const std::string& directory, Written* found) {
  std::vector<std::string> names;
  if (leveldb::Status status = disk.GetChildren(directory, &names); !status.ok()) return status;
  for (const std::string& name : names)
    if (LogNumber(name) > LogNumber(found->log)) found->log = name;
  std::string current;
  if (!ReadFileToString(&disk, directory + "/CURRENT", &current).ok() || !current.ends_with('\n'))
    return {};
  current.pop_back();
  if (current.starts_with("MANIFEST-") && disk.FileExists(directory + "/" + current))
    found->manifest = current;
  return {};
}

// Replaces a file by `content`, durably but for the name.
leveldb::Status Replace(DiskEnv& disk, const std::string& directory, const std::string& name,
                        std::string_view content) {
  // LevelDB removes leftovers of this name.
  const std::string temporary = directory + "/000000.dbtmp";
  leveldb::WritableFile* opened = nullptr;
  if (leveldb::Status status = disk.NewWritableFile(temporary, &opened); !status.ok())
    return status;
  const std::unique_ptr<leveldb::WritableFile> file(opened);
  leveldb::Status status = file->Append(leveldb::Slice(content.data(), content.size()));
  if (status.ok()) status = file->Sync();
  if (status.ok()) status = file->Close();
  if (status.ok()) status = disk.RenameFile(temporary, directory + "/" + name);
  return status;
}

// durable: so many bytes at its start are known to be.
leveldb::Status CutTail(DiskEnv& disk, const std::string& directory, const std::string& name,
                        uint64_t durable) {
  const std::string path = directory + "/" + name;
  std::string log;
  if (leveldb::Status status = ReadFileToString(&disk, path, &log); !status.ok()) return status;
  const size_t whole = WholeRecords(log);
  if (whole < durable)
    return leveldb::Status::Corruption(name, "damaged behind byte " + std::to_string(whole) +
                                                 ", and all of its " + std::to_string(durable) +
                                                 " bytes were durable when it was closed");
  if (whole == log.size()) return disk.SyncFile(path);
  log::warn(
      "{}: the last {} bytes of {} are no whole records: they were being written when the "
      "machine or the process stopped, and are cut off",
      path, log.size() - whole, log.size());
  return Replace(disk, directory, name, std::string_view(log).substr(0, whole));
}

// What `closed` says of a file; 0 where it says nothing.
uint64_t Durable(std::string_view closed, const std::string& name) {
  std::istringstream lines{std::string(closed)};
  std::string noted;
  for (uint64_t bytes = 0; lines >> noted >> bytes;)
    if (noted == name) return bytes;
  return 0;
}

}  // namespace

size_t WholeRecords(std::string_view log) {
  size_t whole = 0;
  bool within = false;  // a record that began in an earlier fragment
  for (size_t block = 0; block < log.size(); block += kBlockBytes) {
    std::string_view rest = log.substr(block, kBlockBytes);
    // What is too short for a header is filled up with zeros.
    while (rest.size() >= kHeaderBytes) {
      uint8_t type = 0;
      const size_t size = Fragment(rest, &type);
      const bool begins = type == kFull || type == kFirst;
      if (size == 0 || begins == within) return whole;
      rest.remove_prefix(size);
      within = type == kFirst || type == kMiddle;
      if (!within) whole = block + std::min(kBlockBytes, log.size() - block) - rest.size();
    }
    // A filled-up end is no damage.
    if (!within && rest.size() < kHeaderBytes &&
        std::all_of(rest.begin(), rest.end(), [](char c) { return c == 0; }) &&
        block + kBlockBytes <= log.size())
      whole = block + kBlockBytes;
  }
  return whole;
}

leveldb::Status CutTornTails(DiskEnv& disk, const std::string& directory) {
  Written written;
  if (!FindWritten(disk, directory, &written).ok()) return {};  // there is no such directory yet
  std::string closed;
  if (disk.FileExists(directory + "/" + kClosed))
    if (leveldb::Status status = ReadFileToString(&disk, directory + "/" + kClosed, &closed);
        !status.ok())
      return status;
  for (const std::string& name : {written.manifest, written.log}) {
    if (name.empty()) continue;
    if (leveldb::Status status = CutTail(disk, directory, name, Durable(closed, name));
        !status.ok())
      return status;
  }
  return disk.SyncDirectory(directory);
}

leveldb::Status NoteClosed(DiskEnv& disk, const std::string& directory) {
  Written written;
  if (leveldb::Status status = FindWritten(disk, directory, &written); !status.ok()) return status;
  std::string closed;
  for (const std::string& name : {written.manifest, written.log}) {
    if (name.empty()) continue;
    const std::string path = directory + "/" + name;
    if (leveldb::Status status = disk.SyncFile(path); !status.ok()) return status;
    uint64_t bytes = 0;
    if (leveldb::Status status = disk.GetFileSize(path, &bytes); !status.ok()) return status;
    closed += name + " " + std::to_string(bytes) + "\n";
  }
  if (leveldb::Status status = Replace(disk, directory, kClosed, closed); !status.ok())
    return status;
  return disk.SyncDirectory(directory);
}

}  // namespace pxfs::meta
