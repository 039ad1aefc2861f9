#include "meta/volume_table.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/logging.h"
#include "meta/keys.h"

namespace pxfs::meta {
namespace {

Status CheckVolume(const VolumeInfo& volume) {
  if (volume.name.empty() || volume.name.size() > kMaxNameBytes)
    return Fail(Code::kInvalid, "a volume needs a name of at most 255 bytes");
  if (volume.weight < 0) return Fail(Code::kInvalid, "volume " + volume.name + ": negative weight");
  return {};
}

}  // namespace

Status VolumeTable::Load() {
  const std::string begin = keys::Make(keys::Family::kVolume);
  std::lock_guard lock(mutex_);
  Status status;
  PXFS_TRY(store_.engine().Scan(begin, keys::EndOf(begin),
                                [&](std::string_view key, std::string_view value) {
                                  auto volume = Decode<VolumeInfo>(key, value);
                                  if (!volume) {
                                    status = Fail(volume.error());
                                    return false;
                                  }
                                  volumes_[volume->id].record = std::move(*volume);
                                  return true;
                                }));
  Rebuild();
  return status;
}

Status VolumeTable::Write(const VolumeInfo& volume) {
  PXFS_TRY(store_.Run([&](Transaction& tx) -> Status {
    tx.Put(keys::Volume(volume.id), Encode(volume));
    return {};
  }));
  return store_.engine().Sync();
}

Result<VolumeInfo> VolumeTable::Add(VolumeInfo volume) {
  PXFS_TRY(CheckVolume(volume));
  std::lock_guard change(change_mutex_);
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, other] : volumes_) {
      if (other.record.name == volume.name)
        return Fail(Code::kExists, "a volume has the name " + volume.name + " already");
      if (!volume.uuid.empty() && other.record.uuid == volume.uuid)
        return Fail(Code::kExists, "it is volume " + other.record.name + " already");
      if (!volume.path.empty() && other.record.path == volume.path &&
          other.record.node == volume.node)
        return Fail(Code::kExists, volume.path + " is volume " + other.record.name + " already");
    }
  }
  PXFS_ASSIGN(const uint64_t number, store_.NewVolume());
  volume.id = VolumeId(number);
  PXFS_TRY(Write(volume));
  std::lock_guard lock(mutex_);
  volumes_[volume.id].record = volume;
  Rebuild();
  return volume;
}

Status VolumeTable::Update(const VolumeInfo& volume) {
  std::lock_guard change(change_mutex_);
  VolumeInfo record;
  VolumeState shown = VolumeState::kOnline;
  {
    std::lock_guard lock(mutex_);
    for (const VolumeInfo& info : *current_)
      if (info.id == volume.id) shown = info.state;
    const auto it = volumes_.find(volume.id);
    if (it == volumes_.end())
      return Fail(Code::kNotFound, "no volume " + std::to_string(volume.id.value));
    record = it->second.record;
  }
  // What List shows may be what the node reports of the disk: that is not to be kept.
  if (volume.state != shown) record.state = volume.state;
  record.weight = volume.weight;
  record.reserve_bytes = volume.reserve_bytes;
  record.copy_rate = volume.copy_rate;
  record.labels = volume.labels;
  PXFS_TRY(CheckVolume(record));
  PXFS_TRY(Write(record));
  std::lock_guard lock(mutex_);
  volumes_[record.id].record = record;
  Rebuild();
  return {};
}

Status VolumeTable::Remove(VolumeId volume, const std::optional<RecordWrite>& note) {
  std::lock_guard change(change_mutex_);
  PXFS_TRY(store_.Run([&](Transaction& tx) -> Status {
    tx.Erase(keys::Volume(volume));
    if (note) tx.Put(keys::Record(note->key), *note->value);
    return {};
  }));
  PXFS_TRY(store_.engine().Sync());
  std::lock_guard lock(mutex_);
  volumes_.erase(volume);
  Rebuild();
  return {};
}

Status VolumeTable::Restore(const VolumeInfo& volume) {
  std::lock_guard change(change_mutex_);
  PXFS_TRY(Write(volume));
  std::lock_guard lock(mutex_);
  volumes_[volume.id].record = volume;
  Rebuild();
  return {};
}

Status VolumeTable::Report(const VolumeReport& report) {
  std::lock_guard lock(mutex_);
  const auto it = volumes_.find(report.volume);
  if (it == volumes_.end())
    return Fail(Code::kNotFound, "no volume " + std::to_string(report.volume.value));
  it->second.report = report;
  it->second.reported = true;
  NoteRoom(it->second);
  Rebuild();
  return {};
}

void VolumeTable::NoteRoom(Volume& volume) {
  const bool full = volume.report.usable && volume.report.free_bytes <= volume.record.reserve_bytes;
  if (full == volume.full || !volume.report.usable) return;
  volume.full = full;
  const std::string room = FormatBytes(volume.report.free_bytes) + " free, of which " +
                           FormatBytes(volume.record.reserve_bytes) + " are reserved";
  if (full)
    log::warn("volume {} takes no new files: {}", volume.record.name, room);
  else
    log::info("volume {} takes new files again: {}", volume.record.name, room);
}

VolumeTable::Snapshot VolumeTable::Current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

std::vector<VolumeInfo> VolumeTable::List() const {
  std::vector<VolumeInfo> list = *Current();
  for (VolumeInfo& volume : list) {
    const Totals::Usage usage = store_.totals().OnVolume(volume.id);
    volume.objects = usage.objects;
    volume.object_bytes = usage.object_bytes;
  }
  return list;
}

void VolumeTable::Rebuild() {
  auto next = std::make_shared<std::vector<VolumeInfo>>();
  for (const auto& [id, volume] : volumes_) {
    VolumeInfo info = volume.record;
    if (volume.reported) {
      info.total_bytes = volume.report.total_bytes;
      info.free_bytes = volume.report.free_bytes;
      info.problem = volume.report.problem;
      if (!volume.report.usable)
        info.state = VolumeState::kOffline;
      else if (volume.report.read_only && info.state == VolumeState::kOnline)
        info.state = VolumeState::kReadOnly;
    }
    next->push_back(std::move(info));
  }
  current_ = std::move(next);
}

}  // namespace pxfs::meta
