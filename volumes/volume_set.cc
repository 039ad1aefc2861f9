#include <algorithm>

#include "base/logging.h"
#include "meta/copy_queue.h"
#include "meta/lost_volumes.h"
#include "volumes/volume.h"

namespace pxfs::volumes {

namespace {

void Apply(const AccessTimes& rule, Volume& volume) {
  if (auto set = volume.SetAccessTimes(rule); !set)
    log::warn("volume {}: access times follow the mount of its disk: {}", volume.name(),
              set.error().message());
}

}  // namespace

VolumeSet::VolumeSet(std::string cluster_uuid, meta::MetadataService& metadata, bool reports)
    : cluster_uuid_(std::move(cluster_uuid)),
      metadata_(metadata),
      reports_(reports),
      load_([this](VolumeId id) { return QueueOf(id); }) {}

uint64_t VolumeSet::QueueOf(VolumeId id) const {
  const auto volume = Find(id);
  struct stat st;
  return volume && ::fstat(volume->root_fd(), &st) == 0 ? DeviceQueue(st.st_dev) : 0;
}

std::vector<const meta::Replica*> VolumeSet::Readable(const meta::Location& location) const {
  std::vector<VolumeId> volumes;
  for (const meta::Replica& replica : location.replicas)
    if (replica.state == meta::ReplicaState::kCurrent && Find(replica.volume))
      volumes.push_back(replica.volume);
  std::vector<const meta::Replica*> readable;
  for (const VolumeId volume : load_.Order(std::move(volumes)))
    for (const meta::Replica& replica : location.replicas)
      if (replica.volume == volume && replica.state == meta::ReplicaState::kCurrent)
        readable.push_back(&replica);
  if (readable.size() < 2) return readable;
  const auto rank = [this](const meta::Replica* replica) {
    std::lock_guard lock(mutex_);
    const auto known = known_.find(replica->volume);
    if (known == known_.end()) return 0;
    if (known->second.info.unsettled) return 2;
    // What is read there over and over could never leave.
    return known->second.info.state == meta::VolumeState::kDraining ? 1 : 0;
  };
  std::stable_sort(readable.begin(), readable.end(),
                   [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  return readable;
}

bool VolumeSet::Unsettled(VolumeId id) const {
  if (!any_unsettled_) return false;
  std::lock_guard lock(mutex_);
  const auto known = known_.find(id);
  return known != known_.end() && known->second.info.unsettled;
}

bool VolumeSet::Doubtful(const meta::Attr& attr, const meta::Replica& replica,
                         const struct stat& object) const {
  // Of a file that is written metadata does not know the size.
  if (!Unsettled(replica.volume) || attr.open_for_write || !replica.materialized) return false;
  return LooksChanged(object, attr);
}

// The service may not have noticed that it was away, or not have noted it yet.
void VolumeSet::NoteReturn(meta::VolumeInfo& info) const {
  if (std::exchange(info.unsettled, true)) return;
  const meta::RecordWrite item{
      meta::KeyOf({meta::CopyReason::kVolume, InodeId(info.id.value), meta::NewItemNumber()}),
      std::string(meta::kWasAway)};
  if (const auto noted = metadata_.WriteRecords(std::span(&item, 1), /*sync=*/false); !noted)
    log::warn("volume {} is back, and is not looked at: {}", info.name, noted.error().message());
}

VolumeSet::Known VolumeSet::Look(const meta::VolumeInfo& info, const Known& before) const {
  Known known;
  known.info = info;
  known.probe = before.probe ? before.probe : std::make_shared<DiskProbe>();
  const auto offline = [&](std::string problem) {
    known.report.volume = info.id;
    known.report.usable = false;
    known.report.problem = known.problem = std::move(problem);
    return known;
  };
  std::shared_ptr<Volume> volume = before.volume;
  if (!volume) {
    auto opened = Volume::Open(info.id, info.path, {cluster_uuid_, info.uuid, info.name});
    if (!opened) return offline(opened.error().message());
    volume = std::move(*opened);
  }
  if (const std::string silent = known.probe->Look(volume->root_fd()); !silent.empty())
    return offline(info.path + ": " + silent);
  known.report = volume->Inspect();
  known.problem = known.report.problem;
  if (known.report.usable) known.volume = std::move(volume);
  return known;
}

Status VolumeSet::Refresh() const {
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> listed, metadata_.ListVolumes());
  std::unordered_map<VolumeId, Known> before;
  {
    std::lock_guard lock(mutex_);
    before = known_;
  }
  std::unordered_map<VolumeId, Known> now;
  bool any_unsettled = false;
  for (const meta::VolumeInfo& info : listed) {
    const auto old = before.find(info.id);
    Known known = Look(info, old == before.end() ? Known() : old->second);
    const std::string& previous = old == before.end() ? "" : old->second.problem;
    if (reports_ && known.problem != previous) {
      if (known.problem.empty())
        log::info("volume {} is online again: {}", info.name, info.path);
      else
        log::warn("volume {} is {}: {}", info.name, known.volume ? "impaired" : "offline",
                  known.problem);
    }
    // Before it can be found here.
    if (old != before.end() && !old->second.volume && known.volume) NoteReturn(known.info);
    any_unsettled |= known.info.unsettled;
    now.emplace(info.id, std::move(known));
  }
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, known] : now) {
      const auto old = before.find(id);
      const bool is_new = old == before.end() || old->second.volume != known.volume;
      if (access_times_ && known.volume && is_new) Apply(*access_times_, *known.volume);
    }
    known_ = now;
    any_unsettled_ = any_unsettled;
  }
  if (!reports_) return {};
  for (const auto& [id, known] : now) PXFS_TRY(metadata_.ReportVolume(known.report));
  return {};
}

std::optional<VolumeSet::Known> VolumeSet::Get(VolumeId id) const {
  for (bool looked = false;; looked = true) {
    {
      std::lock_guard lock(mutex_);
      const auto it = known_.find(id);
      if (it != known_.end()) return it->second;
    }
    if (looked) return std::nullopt;
    if (const auto refreshed = Refresh(); !refreshed) {
      log::warn("cannot list the volumes: {}", refreshed.error().message());
      return std::nullopt;
    }
  }
}

std::shared_ptr<Volume> VolumeSet::Find(VolumeId id) const {
  const auto known = Get(id);
  return known ? known->volume : nullptr;
}

Result<std::shared_ptr<Volume>> VolumeSet::Require(VolumeId id) const {
  const auto known = Get(id);
  if (!known)
    return Fail(Code::kUnavailable,
                "volume " + std::to_string(id.value) + ": not known on this node");
  if (!known->volume)
    return Fail(Code::kUnavailable,
                "volume " + known->info.name + " is offline: " + known->problem);
  return known->volume;
}

std::vector<std::shared_ptr<Volume>> VolumeSet::All() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Volume>> all;
  for (const auto& [id, known] : known_)
    if (known.volume) all.push_back(known.volume);
  return all;
}

bool VolumeSet::BelowReserve(const Volume& volume) const {
  const auto info = Info(volume.id());
  return info && volume.FreeBytes() <= info->reserve_bytes;
}

void VolumeSet::SetAccessTimes(const AccessTimes& rule) const {
  std::lock_guard lock(mutex_);
  access_times_ = rule;
  for (const auto& [id, known] : known_)
    if (known.volume) Apply(rule, *known.volume);
}

std::optional<meta::VolumeInfo> VolumeSet::Info(VolumeId id) const {
  std::lock_guard lock(mutex_);
  const auto it = known_.find(id);
  if (it == known_.end()) return std::nullopt;
  return it->second.info;
}

std::string VolumeSet::NameOf(VolumeId id) const {
  if (const auto info = Info(id)) return info->name;
  const auto lost = metadata_.ScanRecords(meta::LostVolumeKey(id), "", 1);
  return lost && !lost->empty() ? lost->front().value : std::to_string(id.value);
}

std::string VolumeSet::ObjectPath(const meta::Replica& replica, InodeId inode) const {
  std::lock_guard lock(mutex_);
  const auto it = known_.find(replica.volume);
  if (it == known_.end()) return "";
  return it->second.info.path + "/" + ObjectName{inode, replica.object_generation}.RelativePath();
}

}  // namespace pxfs::volumes
