#include "volumes/scrub.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "volumes/copy.h"

namespace pxfs::volumes {
namespace {

using meta::Replica;
using meta::ReplicaState;

// What reading an object came to.
struct Reading {
  std::optional<Hash128> checksum;
  std::string damage;  // why there is none
  // Rightly so, as the file has never been written; or what is there may not become the content.
  bool absent = false;
};

Result<Reading> ReadObject(const VolumeSet& volumes, const Volume& volume,
                           const meta::Location& file, const Replica& replica,
                           const ScrubOptions& options) {
  Reading reading;
  const auto object = volume.OpenObject({file.attr.inode, replica.object_generation}, O_RDONLY);
  if (!object && object.error() == Code::kNotFound) {
    reading.absent = !replica.materialized && file.attr.size_bytes == 0;
    reading.damage = "its object is not there";
    return reading;
  }
  if (!object && object.error() == Code::kIo) {
    reading.damage = object.error().message();
    return reading;
  }
  if (!object) return Fail(object.error());
  struct stat st;
  if (::fstat(object->get(), &st) != 0) return FailErrno(errno, "stat of an object");
  if (!replica.checksum && volumes.Doubtful(file.attr, replica, st)) {
    reading.absent = true;
    return reading;
  }
  if (static_cast<uint64_t>(st.st_size) != file.attr.size_bytes) {
    reading.damage = "it has " + std::to_string(st.st_size) + " bytes, not " +
                     std::to_string(file.attr.size_bytes);
    return reading;
  }
  // The disk is to be read, not what the page cache has of it: that goes once it is written.
  if (::fdatasync(object->get()) != 0 && errno != EROFS)
    return FailErrno(errno, "fdatasync of an object");
  ::posix_fadvise(object->get(), 0, 0, POSIX_FADV_DONTNEED);
  const auto checksum = ChecksumFile(object->get(), [&](uint64_t bytes) {
    return !options.progress || options.progress(volume.id(), bytes);
  });
  if (checksum)
    reading.checksum = *checksum;
  else if (checksum.error() == Code::kIo || checksum.error() == Code::kStale)
    reading.damage = checksum.error().message();
  else
    return Fail(checksum.error());
  return reading;
}

}  // namespace

Result<ScrubOutcome> ScrubFile(meta::MetadataService& metadata, const VolumeSet& volumes,
                               InodeId inode, const ScrubOptions& options) {
  ScrubOutcome outcome;
  const auto file = metadata.Locate({}, inode);
  if (!file && file.error() == Code::kNotFound) return outcome;
  if (!file) return Fail(file.error());
  const meta::Attr& attr = file->attr;
  if (!attr.is_regular() || attr.nlink == 0 || attr.open_for_write) return outcome;
  std::optional<Hash128> expected;
  for (const Replica& replica : file->replicas)
    if (replica.state == ReplicaState::kCurrent && replica.checksum) expected = replica.checksum;
  for (const Replica& replica : file->replicas) {
    if (replica.state != ReplicaState::kCurrent) continue;
    if (options.verified_before != 0 && replica.verified_seconds >= options.verified_before)
      continue;
    const auto volume = volumes.Find(replica.volume);
    if (!volume) continue;
    PXFS_ASSIGN(Reading reading, ReadObject(volumes, *volume, *file, replica, options));
    if (reading.absent) continue;
    ++outcome.objects;
    outcome.bytes += attr.size_bytes;
    if (reading.checksum && !expected) expected = reading.checksum;
    const bool good = reading.checksum && *reading.checksum == *expected;
    if (reading.checksum && !good)
      reading.damage =
          "its checksum is " + ToString(*reading.checksum) + ", not " + ToString(*expected);
    const Status told = metadata.ReportScrub({{inode, replica.volume, replica.object_generation},
                                              attr.generation,
                                              good,
                                              good ? *reading.checksum : Hash128()});
    const bool last = !told && told.error() == Code::kNotPermitted;
    if (!told && !last) {
      // It was changed meanwhile: what was read means nothing.
      if (told.error() == Code::kStale || told.error() == Code::kBusy ||
          told.error() == Code::kNotFound)
        return outcome;
      return Fail(told.error());
    }
    if (good)
      outcome.good.insert(replica.volume);
    else
      outcome.damages.push_back({replica.volume, reading.damage, !last});
  }
  return outcome;
}

}  // namespace pxfs::volumes
