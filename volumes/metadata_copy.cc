#include "volumes/metadata_copy.h"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>

#include "base/logging.h"
#include "volumes/identity.h"

namespace pxfs::volumes {
namespace {

constexpr int kPartOfTheTime = 100;

// When the file was written, in seconds since 1970; 0: it is not there.
int64_t WrittenAt(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 ? st.st_mtim.tv_sec : 0;
}

}  // namespace

bool MetadataCopies::Due() const {
  if (std::chrono::steady_clock::now() < not_before_) return false;
  // The age of the newest copy; of a volume that has none, since it was made.
  int64_t newest = 0;
  for (const auto& volume : volumes_.All()) {
    const int64_t copied = WrittenAt(volume->root() + "/" + kMetadataCopyFile);
    newest =
        std::max(newest, copied != 0 ? copied : WrittenAt(volume->root() + "/" + kIdentityFile));
  }
  const std::chrono::seconds age(::time(nullptr) - newest);
  return newest != 0 && age >= (content_changed_ ? kInterval : kQuietInterval);
}

void MetadataCopies::WriteIfDue(bool content_changed) {
  content_changed_ |= content_changed;
  if (cluster_.uuid.empty() || !Due()) return;
  const auto begin = std::chrono::steady_clock::now();
  content_changed_ = false;
  for (const auto& volume : volumes_.All()) Write(*volume);
  const auto end = std::chrono::steady_clock::now();
  not_before_ = end + kPartOfTheTime * (end - begin);
}

void MetadataCopies::Write(const Volume& volume) {
  const auto info = volumes_.Info(volume.id());
  if (!info || info->state == meta::VolumeState::kReadOnly || volumes_.BelowReserve(volume)) return;
  const std::string file = volume.root() + "/" + kMetadataCopyFile;
  if (const auto done = metadata_.Dump({file, cluster_.uuid, cluster_.name}); !done)
    log::warn("cannot copy the metadata to volume {}: {}", volume.name(), done.error().message());
}

}  // namespace pxfs::volumes
