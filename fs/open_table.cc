#include "fs/open_table.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"
#include "base/logging.h"
#include "volumes/copy.h"

namespace pxfs::fs {
namespace {

// The replicas that an open can use, the best first: for writing the primary alone.
std::vector<const meta::Replica*> Usable(const meta::Location& location,
                                         const volumes::VolumeSet& volumes, bool writable) {
  std::vector<const meta::Replica*> usable = volumes.Readable(location);
  if (writable) std::erase_if(usable, [](const meta::Replica* r) { return !r->primary; });
  return usable;
}

}  // namespace

OpenTable::Turn::Turn(OpenTable& table, std::shared_ptr<OpenFile> file)
    : table_(&table), file_(std::move(file)), lock_(file_->mutex) {
  file_->settled.wait(lock_, [&] { return !file_->taken; });
  file_->taken = true;
}

OpenTable::Turn::~Turn() {
  if (!file_) return;
  file_->taken = false;
  if (std::exchange(file_->let_go, false) && !file_->in_use() && !file_->dead) table_->LetGo(file_);
  file_->settled.notify_one();
}

OpenTable::OpenTable(const Environment& environment, ConnectionState& state)
    : env_(environment),
      state_(state),
      descriptors_(environment.max_descriptors, state.usage().descriptors) {
  state_.usage().descriptors = 0;  // the dead daemon's are closed
  state_.usage().max_descriptors = env_.max_descriptors;
  state_.usage().max_open = env_.max_open;
  state_.usage().max_idle = std::min(kIdleBackings, env_.max_open);
  // Records of an earlier daemon. They are dense from the start, apart from those given back.
  const auto records = state_.open_records();
  for (uint32_t i = 0; i < records.size() && next_record_ == i; ++i) {
    auto& record = records[i];
    if (record.inode == 0 && record.object_generation == 0) break;
    next_record_ = i + 1;
    if (record.inode == 0) {
      free_records_.push_back(i);
      continue;
    }
    const InodeId inode(record.inode);
    auto file = std::make_shared<OpenFile>(inode, &record);
    file->volume = env_.volumes->Find(VolumeId(record.volume));
    file->grant_unsure = file->writers() > 0;
    if (file->grant_unsure && record.backing_id == 0) file->commit_copies = OpenFile::kUnknown;
    ShardOf(inode).files.emplace(inode, file);
    if (file->opens() == 0) GoIdle(file);
  }
  LearnCountedRequests();
  idle_thread_ = std::thread([this] { IdleLoop(); });
}

OpenTable::~OpenTable() { StopIdling(); }

void OpenTable::StopIdling() {
  {
    std::lock_guard lock(idle_mutex_);
    stopping_ = true;
  }
  idle_changed_.notify_all();
  if (idle_thread_.joinable()) idle_thread_.join();
}

void OpenTable::LearnCountedRequests() {
  for (CountChange& change : state_.count_changes()) {
    const uint64_t request = change.request.exchange(0);
    if (request == 0 || change.record >= state_.open_records().size()) continue;
    const bool counted =
        change.done != 0 || state_.open_records()[change.record].counts == change.after;
    if (counted) counted_requests_.insert(request);
  }
  counted_left_ = counted_requests_.size();
}

bool OpenTable::AlreadyCounted(const meta::CallContext& ctx) {
  if (counted_left_ == 0 || ctx.request == 0) return false;
  std::lock_guard lock(counted_mutex_);
  const bool found = counted_requests_.erase(ctx.request) != 0;
  counted_left_ = counted_requests_.size();
  return found;
}

void OpenTable::SetCounts(const meta::CallContext& ctx, OpenFile& file, OpenCounts after) {
  static std::atomic<size_t> threads{0};
  thread_local const size_t thread = threads++ % ConnectionState::kMaxThreads;
  CountChange& change = state_.count_changes()[thread];
  change.request = 0;
  change.record = static_cast<uint64_t>(file.record - state_.open_records().data());
  change.after = after.Pack();
  change.done = 0;
  change.request = ctx.request;
  file.record->counts = after.Pack();
  change.done = 1;
}

OpenRecord* OpenTable::TakeRecord(InodeId inode) {
  std::lock_guard lock(free_mutex_);
  if (records_used() >= env_.max_open) return nullptr;
  uint32_t index;
  if (!free_records_.empty()) {
    index = free_records_.back();
    free_records_.pop_back();
  } else {
    index = next_record_++;
  }
  OpenRecord& record = state_.open_records()[index];
  record.volume = 0;
  record.object_generation = 1;  // marks the record as used once, see the constructor
  record.backing_id = 0;
  record.backing_writable = 0;
  record.counts = 0;
  record.inode.store(inode.value, std::memory_order_release);
  return &record;
}

Result<OpenTable::Turn> OpenTable::FindOrAdd(InodeId inode) {
  Shard& shard = ShardOf(inode);
  for (;;) {
    std::shared_ptr<OpenFile> file;
    {
      std::lock_guard lock(shard.mutex);
      const auto found = shard.files.find(inode);
      if (found != shard.files.end()) {
        file = found->second;
      } else if (OpenRecord* record = TakeRecord(inode)) {
        file = std::make_shared<OpenFile>(inode, record);
        shard.files.emplace(inode, file);
      }
    }
    if (!file) {
      if (GiveUpOldestIdle()) continue;
      return Fail(Code::kTooManyOpen, "this mount has " + std::to_string(env_.max_open) +
                                          " inodes open, and may have no more (max_open)");
    }
    Turn turn(*this, std::move(file));
    if (!turn->dead) return turn;
  }
}

std::shared_ptr<OpenFile> OpenTable::Peek(InodeId inode) {
  Shard& shard = ShardOf(inode);
  std::lock_guard lock(shard.mutex);
  auto it = shard.files.find(inode);
  return it == shard.files.end() ? nullptr : it->second;
}

std::optional<OpenFileRef> OpenTable::Find(InodeId inode) {
  std::shared_ptr<OpenFile> file = Peek(inode);
  if (!file) return std::nullopt;
  std::unique_lock lock(file->mutex);
  if (file->dead) return std::nullopt;
  return OpenFileRef(std::move(file), std::move(lock));
}

std::optional<OpenTable::Turn> OpenTable::TakeTurn(InodeId inode) {
  std::shared_ptr<OpenFile> file = Peek(inode);
  if (!file) return std::nullopt;
  Turn turn(*this, std::move(file));
  if (turn->dead) return std::nullopt;
  return turn;
}

void OpenTable::Unbind(OpenFile& file) {
  if (file.record->backing_id > 0)
    env_.transport->CloseBacking(std::exchange(file.record->backing_id, 0));
  file.fd.reset();
}

// Passthrough reads move the object's atime, unseen: carry it over when the file is let go.
void OpenTable::LearnAtime(Turn& file) {
  if (file->atime == meta::Timestamp{}) return;  // never bound here
  auto st = Stat(*file);
  if (!st || volumes::ToTimestamp(st->st_atim) <= file->atime) return;
  meta::AttrChange change;
  change.atime = volumes::ToTimestamp(st->st_atim);
  change.atime_only = true;
  const InodeId inode = file->inode;
  auto stored = file.Outside(
      [&] { return env_.metadata->SetAttr({.session = env_.session}, inode, change); });
  // A reply that was made from what metadata had until now must not stay in the kernel's cache.
  if (stored) env_.transport->InvalidateAttributes(inode.value);
  if (!stored && stored.error() != Code::kNotFound)
    log::warn("inode {}: storing its access time: {}", inode.value, stored.error().message());
}

void OpenTable::Remove(Turn& file) {
  LearnAtime(file);
  Unbind(*file);
  file->dead = true;
  file->record->inode.store(0, std::memory_order_release);
  const auto index = static_cast<uint32_t>(file->record - state_.open_records().data());
  Shard& shard = ShardOf(file->inode);
  {
    std::lock_guard lock(shard.mutex);
    shard.files.erase(file->inode);
  }
  std::lock_guard lock(free_mutex_);
  free_records_.push_back(index);
}

// Opens the object that `location` names and makes it the backing of the inode, where passthrough
// is possible.
Status OpenTable::BindObject(OpenFile& file, const meta::Location& location, bool writable,
                             bool created) {
  const auto usable = Usable(location, *env_.volumes, writable);
  if (usable.empty()) {
    if (location.replicas.empty()) return Fail(Code::kCorruption, "inode has no replica");
    const meta::Replica& primary = location.replicas.front();
    if (primary.state == meta::ReplicaState::kMissing)
      return Fail(Code::kUnavailable,
                  "its only copy was lost with the volume " + env_.volumes->NameOf(primary.volume));
    auto volume = env_.volumes->Require(primary.volume);
    return volume ? Fail(Code::kUnavailable, "no current replica") : Fail(volume.error());
  }
  Status bound;
  for (const meta::Replica* replica : usable) {
    bound = BindReplica(file, location, *replica, writable, created);
    if (bound) break;
    if (usable.size() > 1)
      log::warn("inode {} on volume {}: {}; looking at its other copies", file.inode.value,
                replica->volume.value, bound.error().message());
  }
  return bound;
}

Status OpenTable::BindReplica(OpenFile& file, const meta::Location& location,
                              const meta::Replica& replica, bool writable, bool created) {
  file.volume = env_.volumes->Find(replica.volume);
  if (!file.volume) return Fail(Code::kUnavailable, "the volume went offline");
  file.record->volume = replica.volume.value;
  file.record->object_generation = replica.object_generation;
  file.executable = (location.attr.mode & 0111) != 0;
  file.name_durable = false;
  file.atime = location.attr.atime;
  file.mtime = location.attr.mtime;
  file.size_bytes = location.attr.size_bytes;
  file.commit_copies = location.commit_copies;
  file.chosen = std::chrono::steady_clock::now();

  const volumes::ObjectOwner owner{location.attr.uid, location.attr.gid,
                                   location.attr.mode & 07777};
  const auto open_object = [&](int flags) {
    if (replica.materialized) return file.volume->OpenObject(file.object(), flags);
    if (created) {
      auto made = file.volume->OpenObject(file.object(), flags | O_CREAT | O_EXCL, &owner);
      // The request is one that an earlier daemon had begun.
      if (made || made.error() != Code::kExists) return made;
    }
    return file.volume->OpenObject(file.object(), flags | O_CREAT, &owner);
  };
  // Prefer a descriptor that can serve later writers too; see 3 in the header for executables.
  const bool try_writable = writable || !file.executable;
  Result<UniqueFd> fd = try_writable ? open_object(O_RDWR) : Fail(Code::kReadOnly);
  const bool fd_writable = fd.has_value();
  if (!fd && !writable &&
      (!try_writable || fd.error() == Code::kReadOnly || fd.error() == Code::kTextBusy)) {
    fd = open_object(O_RDONLY);
  }
  if (!fd)
    return Fail(fd.error().code() == Code::kNotFound ? Error(Code::kIo, "object is missing")
                                                     : fd.error());
  Register(file, std::move(*fd), fd_writable, !location.relayed);
  return {};
}

void OpenTable::Register(OpenFile& file, UniqueFd fd, bool writable, bool passthrough) {
  if (passthrough && env_.transport->capabilities().passthrough) {
    if (auto id = env_.transport->OpenBacking(fd.get())) {
      file.record->backing_writable = writable;
      file.record->backing_id = *id;
      return;  // the kernel holds the file now
    } else {
      log::warn("inode {}: {}; serving it without passthrough", file.inode.value,
                id.error().message());
    }
  }
  descriptors_.Give(file.shared_from_this(), std::move(fd), writable);
}

void OpenTable::GiveUp(Turn& file) {
  if (!file->in_use() && file->idle_ticket == 0) Remove(file);
}

Status OpenTable::BeginWriting(const meta::CallContext& ctx, Turn& file,
                               const meta::Location* created) {
  // Who has it open here goes on with the object that it has.
  const VolumeId present(file->in_use() ? file->record->volume : 0);
  Result<meta::Location> granted = created ? Result<meta::Location>(*created) : file.Outside([&] {
    return env_.metadata->OpenForWrite(ctx, file->inode, present);
  });
  if (!granted) return Fail(granted.error());
  if (!created) {
    for (const meta::Replica& replica : std::vector<meta::Replica>(granted->replicas)) {
      if (replica.state == meta::ReplicaState::kCopying)
        granted = MoveFirst(ctx, file, *granted, replica);
      if (!granted) return Fail(granted.error());
    }
  }
  file->flags = granted->attr.flags;
  file->grant_unsure = false;
  file->granted_again = file->written();
  file->commit_copies = granted->commit_copies;
  // Else it was only to be made sure of.
  if (file->written())
    return file->record->backing_id > 0 ? Status() : FollowPrimary(*file, *granted);
  // What the daemon is to see must not go past it.
  if (granted->relayed && !file->in_use()) Unbind(*file);
  file->mtime = granted->attr.mtime;
  file->size_bytes = granted->attr.size_bytes;
  const bool bound = file->record->backing_id > 0 || file->in_use();
  const auto usable = Usable(*granted, *env_.volumes, true);
  const bool same_object = bound && !usable.empty() &&
                           file->record->volume == usable.front()->volume.value &&
                           file->record->object_generation == usable.front()->object_generation;
  // Nobody uses an idle backing that does not serve this writer: exchange it.
  if (same_object && (file->in_use() || file->record->backing_writable)) return {};
  if (!file->in_use()) Unbind(*file);
  // All opens share one backing, and what these have is a copy that takes no writes.
  auto opened = file->record->backing_id > 0
                    ? Status(Fail(Code::kBusy, "it is open here on a copy that was given up"))
                    : BindObject(*file, *granted, true, created != nullptr);
  if (opened) return {};
  const meta::ContentState unchanged{granted->attr.size_bytes, granted->attr.blocks,
                                     granted->attr.atime,      granted->attr.mtime,
                                     granted->attr.ctime,      std::nullopt};
  auto closed = file.Outside(
      [&] { return env_.metadata->CloseWrite({.session = env_.session}, file->inode, unchanged); });
  if (!closed)
    log::error("inode {}: giving back the write grant: {}", file->inode.value,
               closed.error().message());
  return opened;
}

Status OpenTable::FollowPrimary(OpenFile& file, const meta::Location& location) {
  const auto usable = Usable(location, *env_.volumes, true);
  if (!usable.empty() && file.record->volume == usable.front()->volume.value &&
      file.record->object_generation == usable.front()->object_generation)
    return {};
  const uint32_t loads = file.loads;
  EndLoad(file, loads);
  file.fd.reset();
  PXFS_TRY(BindObject(file, location, /*writable=*/true, /*created=*/false));
  for (uint32_t left = loads; left > 0; --left) BeginLoad(file);
  return {};
}

Result<OpenTable::WriteHold> OpenTable::BeginWrite(InodeId inode) {
  for (;;) {
    std::shared_ptr<OpenFile> file = Peek(inode);
    if (!file) return Fail(Code::kStale);
    {
      std::lock_guard lock(file->mutex);
      if (file->commit_copies == 0) return WriteHold();
    }
    std::shared_lock writing(file->writes);
    {
      std::lock_guard lock(file->mutex);
      if (!file->grant_unsure) return WriteHold(std::move(file), std::move(writing));
    }
    writing.unlock();
    auto turn = TakeTurn(inode);
    if (!turn) return Fail(Code::kStale);
    if ((*turn)->grant_unsure) PXFS_TRY(BeginWriting({.session = env_.session}, *turn, nullptr));
  }
}

Result<uint32_t> OpenTable::Commit(InodeId inode) {
  auto turn = TakeTurn(inode);
  if (!turn) return 0;
  Turn& file = *turn;
  // Where a reader had it open before the policy came, its writers go by passthrough, too.
  if (!file->written() || file->commit_copies == 0 || file->record->backing_id > 0) return 0;
  if (file->commit_copies == OpenFile::kUnknown) {
    const auto location =
        file.Outside([&] { return env_.metadata->Locate({.session = env_.session}, inode); });
    if (!location) return Fail(location.error());
    file->commit_copies = location->commit_copies;
    if (file->commit_copies == 0) return 0;
  }
  const std::shared_ptr<OpenFile> kept = file.shared();
  auto alone = file.Outside([&] { return std::unique_lock(kept->writes); });
  PXFS_TRY(EndWriting({.session = env_.session}, file));
  file->grant_unsure = true;
  return file->commit_copies;
}

Result<meta::Location> OpenTable::MoveFirst(const meta::CallContext& ctx, Turn& file,
                                            const meta::Location& granted,
                                            const meta::Replica& copy) {
  const InodeId inode = granted.attr.inode;
  const auto end = [&](bool moved) {
    return env_.metadata->EndMove({.session = ctx.session}, inode, copy.object_generation, moved);
  };
  const auto stay = [&](const std::string& why) -> Result<meta::Location> {
    log::warn("inode {} stays on a volume below its reserve: {}", inode.value, why);
    auto ended = end(false);
    if (!ended && ended.error() == Code::kStale)
      return env_.metadata->OpenForWrite(ctx, inode, VolumeId());
    return ended;
  };
  if (file->in_use()) return file.Outside([&] { return stay("it is open"); });
  Unbind(*file);
  return file.Outside([&]() -> Result<meta::Location> {
    if (auto copied = volumes::CopyReplica(*env_.volumes, granted, copy); !copied)
      return stay(copied.error().message());
    auto moved = end(true);
    if (!moved) return stay(moved.error().message());
    log::info("inode {}: moved {} to a volume with room before it is written", inode.value,
              FormatBytes(moved->attr.size_bytes));
    return moved;
  });
}

Status OpenTable::BeginReading(const meta::CallContext& ctx, Turn& file) {
  if (file->in_use()) return {};
  if (file->record->backing_id > 0) {
    const auto age = std::chrono::steady_clock::now() - file->chosen;
    const bool here = age < kLookAtVolume || env_.volumes->Find(VolumeId(file->record->volume));
    if (here && age < kChooseAgain) return {};
  }
  // The object that was found may have been moved before it is opened.
  constexpr int kAttempts = 5;
  std::vector<uint64_t> tried;
  for (int attempt = 1;; ++attempt) {
    auto location = file.Outside([&] { return env_.metadata->Locate(ctx, file->inode); });
    if (!location) return Fail(location.error());
    if (!location->attr.is_regular()) return Fail(Code::kInvalid, "not a regular file");
    if (file->record->backing_id > 0) {
      file->chosen = std::chrono::steady_clock::now();
      const auto usable = Usable(*location, *env_.volumes, false);
      if (usable.empty() || (usable.front()->volume.value == file->record->volume &&
                             usable.front()->object_generation == file->record->object_generation))
        return {};
      LearnAtime(file);
      Unbind(*file);
    }
    std::vector<uint64_t> found;
    for (const meta::Replica& replica : location->replicas)
      found.push_back(replica.object_generation);
    auto bound = BindObject(*file, *location, false, false);
    if (bound || attempt == kAttempts || found == tried) return bound;
    tried = std::move(found);
  }
}

Result<std::shared_ptr<UniqueFd>> OpenTable::ReadElsewhere(const meta::CallContext& ctx,
                                                           InodeId inode,
                                                           const std::shared_ptr<UniqueFd>& failed,
                                                           std::vector<VolumeId>& tried) {
  auto turn = TakeTurn(inode);
  if (!turn || !(*turn)->in_use()) return Fail(Code::kStale);
  Turn& file = *turn;
  if (file->fd && file->fd != failed) return file->fd;  // somebody else has looked already
  // Who writes has the primary, and what the kernel reads itself is not for us to exchange.
  if (file->written() || file->record->backing_id > 0) return Fail(Code::kIo, "reading an object");
  if (failed) tried.push_back(VolumeId(file->record->volume));
  auto location = file.Outside([&] { return env_.metadata->Locate(ctx, inode); });
  if (!location) return Fail(location.error());
  for (const meta::Replica* replica : env_.volumes->Readable(*location)) {
    if (std::find(tried.begin(), tried.end(), replica->volume) != tried.end()) continue;
    const auto volume = env_.volumes->Find(replica->volume);
    if (!volume) continue;
    auto fd = volume->OpenObject({inode, replica->object_generation}, O_RDONLY);
    if (!fd) {
      tried.push_back(replica->volume);
      continue;
    }
    if (failed)
      log::warn("inode {}: volume {} cannot be read; reading on from {}", inode.value,
                file->record->volume, volume->name());
    EndLoad(*file, file->loads);
    file->volume = volume;
    file->record->volume = replica->volume.value;
    file->record->object_generation = replica->object_generation;
    file->name_durable = false;
    descriptors_.Give(file.shared(), std::move(*fd), false);
    for (uint32_t left = file->opens(); left > 0; --left) BeginLoad(*file);
    return file->fd;
  }
  return Fail(Code::kIo, "reading an object: no other copy of it can be read");
}

void OpenTable::BeginLoad(OpenFile& file) {
  if (file.loads == 0) file.load_bytes = file.size_bytes;
  ++file.loads;
  env_.volumes->load().Begin(VolumeId(file.record->volume), file.load_bytes);
}

void OpenTable::EndLoad(OpenFile& file, uint32_t opens) {
  for (; opens > 0 && file.loads > 0; --opens, --file.loads)
    env_.volumes->load().End(VolumeId(file.record->volume), file.load_bytes);
}

Result<OpenTable::Opened> OpenTable::Open(const meta::CallContext& ctx, InodeId inode, Mode mode,
                                          const meta::Location* created) {
  PXFS_ASSIGN(Turn file, FindOrAdd(inode));
  const bool write = mode == Mode::kWrite;
  Status begun;
  if (write && (!file->written() || file->grant_unsure)) {
    begun = BeginWriting(ctx, file, created);
  } else if (!write && created && !file->written()) {
    // The object is made with the grant that came with the file. Where the request is a repetition,
    // the grant may have been given back.
    begun = BeginWriting(ctx, file, created);
    if (begun) begun = EndWriting({.session = env_.session}, file);
    if (!begun && begun.error() == Code::kInvalid) begun = {};
  } else if (!write) {
    begun = BeginReading(ctx, file);
  }
  if (!begun) {
    GiveUp(file);
    return Fail(begun.error());
  }
  Opened opened;
  opened.backing_id = file->record->backing_id;
  // A backing that was opened for reading cannot take writes, and cannot be exchanged while it is
  // in use.
  opened.direct_io = opened.backing_id > 0 && write && !file->record->backing_writable;
  opened.size_bytes = file->size_bytes;
  if (write) opened.flags = file->flags;
  opened.commits = write && file->commit_copies > 0 && opened.backing_id == 0;
  if (!AlreadyCounted(ctx)) {
    OpenCounts counts = file->counts();
    ++counts.opens;
    if (write) ++counts.writers;
    SetCounts(ctx, *file, counts);
    BeginLoad(*file);
  }
  file->idle_ticket = 0;
  return opened;
}

void OpenTable::SetFlags(InodeId inode, uint32_t flags) {
  if (auto file = Find(inode)) (*file)->flags = flags;
}

uint32_t OpenTable::FlagsOf(InodeId inode) {
  const auto file = Find(inode);
  return file && (*file)->written() ? (*file)->flags : 0;
}

Status OpenTable::BeginWork(const meta::CallContext& ctx, InodeId inode) {
  PXFS_ASSIGN(Turn file, FindOrAdd(inode));
  if (!file->written() || file->grant_unsure) {
    if (auto begun = BeginWriting(ctx, file, nullptr); !begun) {
      GiveUp(file);
      return begun;
    }
  }
  ++file->internal_writers;
  file->idle_ticket = 0;
  return {};
}

Status OpenTable::EndWork(const meta::CallContext& ctx, InodeId inode) {
  auto file = TakeTurn(inode);
  if (!file) return Fail(Code::kStale);
  Status status;
  // Not under the request's number: if it comes again, so does the grant, to be given back then.
  meta::CallContext once = ctx;
  once.request = 0;
  if ((*file)->writers() == 0 && (*file)->internal_writers == 1) status = EndWriting(once, *file);
  --(*file)->internal_writers;
  Settle(*file);
  return status;
}

void OpenTable::RegainGrants() {
  for (OpenRecord& record : state_.open_records()) {
    if (record.inode == 0 && record.object_generation == 0) break;  // as in the constructor
    const InodeId inode(record.inode);
    if (!inode || OpenCounts::Unpack(record.counts).writers == 0) continue;
    auto file = TakeTurn(inode);
    // What a commit has given back is asked for by the next write.
    if (!file || ((*file)->grant_unsure && (*file)->commit_copies > 0)) continue;
    if (auto granted = BeginWriting({.session = env_.session}, *file, nullptr); !granted)
      log::error("inode {}: getting the write grant again: {}", inode.value,
                 granted.error().message());
  }
}

Result<std::shared_ptr<UniqueFd>> OpenTable::Descriptor(InodeId inode, bool writable) {
  auto file = Find(inode);
  if (!file || !(*file)->in_use()) return Fail(Code::kStale);
  OpenFile& f = **file;
  if (!f.fd || (writable && !f.fd_writable)) {
    if (!f.volume) {
      PXFS_ASSIGN(f.volume, env_.volumes->Require(VolumeId(f.record->volume)));
    }
    PXFS_ASSIGN(UniqueFd fd, f.volume->OpenObject(f.object(), writable ? O_RDWR : O_RDONLY));
    descriptors_.Give(file->shared(), std::move(fd), writable);
  }
  f.fd_used = true;
  return f.fd;
}

bool OpenTable::IsWritten(InodeId inode) {
  auto file = Find(inode);
  return file && (*file)->written();
}

bool OpenTable::HasBacking(InodeId inode) {
  auto file = Find(inode);
  return file && (*file)->record->backing_id > 0;
}

Result<struct stat> OpenTable::Stat(OpenFile& file) {
  if (file.fd) {
    struct stat st;
    if (::fstat(file.fd->get(), &st) != 0) return FailErrno(errno, "fstat of an object");
    return st;
  }
  if (!file.volume) {
    PXFS_ASSIGN(file.volume, env_.volumes->Require(VolumeId(file.record->volume)));
  }
  return file.volume->StatObject(file.object());
}

// The last writer is gone: what the object holds now is the content.
Status OpenTable::EndWriting(meta::CallContext ctx, Turn& file) {
  PXFS_ASSIGN(const struct stat st, Stat(*file));
  meta::ContentState content = volumes::ContentOf(st);
  // The object's ctime also moves for reasons that are no change of the file (views link it).
  const bool written = content.mtime != file->mtime || content.size_bytes != file->size_bytes;
  if (!written) content.ctime = {};
  // What gave back the grant of before must not count for this one, too.
  if (file->granted_again) ctx.request = 0;
  const Status closed =
      file.Outside([&] { return env_.metadata->CloseWrite(ctx, file->inode, content); });
  // A commit before, or a daemon before this one, may have given the grant back.
  const bool had_none = !closed && closed.error() == Code::kInvalid && file->grant_unsure;
  if (!closed && !had_none) return closed;
  file->grant_unsure = file->granted_again = false;
  file->atime = content.atime;
  file->mtime = content.mtime;
  file->size_bytes = content.size_bytes;
  return {};
}

void OpenTable::Settle(Turn& file) {
  if (file->in_use()) return;
  file->fd.reset();
  if (file->executable || file->record->backing_id == 0)
    Remove(file);
  else
    GoIdle(file.shared());
}

Status OpenTable::Release(const meta::CallContext& ctx, InodeId inode, Mode mode) {
  auto file = TakeTurn(inode);
  if (!file) return Fail(Code::kStale, "release of a file that is not open");
  if (AlreadyCounted(ctx)) return {};
  Status status;
  OpenCounts counts = (*file)->counts();
  const bool last_writer =
      mode == Mode::kWrite && counts.writers == 1 && (*file)->internal_writers == 0;
  if (last_writer) status = EndWriting(ctx, *file);
  if (mode == Mode::kWrite && counts.writers > 0) --counts.writers;
  if (counts.opens > 0) --counts.opens;
  SetCounts(ctx, **file, counts);
  EndLoad(**file, 1);
  Settle(*file);
  return status;
}

void OpenTable::GoIdle(const std::shared_ptr<OpenFile>& file) {
  bool wake;
  {
    std::lock_guard lock(idle_mutex_);
    file->idle_ticket = next_ticket_++;
    wake = idle_.empty() || idle_.size() == kIdleBackings + kIdleBatch;
    idle_.push_back({file, file->idle_ticket, std::chrono::steady_clock::now()});
  }
  if (wake) idle_changed_.notify_one();
}

// The rest, which may wait for others, is the idle thread's.
void OpenTable::LetGo(const std::shared_ptr<OpenFile>& file) {
  Unbind(*file);
  {
    std::lock_guard lock(idle_mutex_);
    file->idle_ticket = next_ticket_++;
    idle_.push_front({file, file->idle_ticket, std::chrono::steady_clock::now() - kIdleTime});
  }
  idle_changed_.notify_one();
}

void OpenTable::IdleLoop() {
  std::unique_lock lock(idle_mutex_);
  while (!stopping_) {
    if (idle_.empty()) {
      idle_changed_.wait(lock);
      continue;
    }
    const auto expiry = idle_.front().since + kIdleTime;
    if (idle_.size() <= kIdleBackings && idle_.front().ticket >= give_up_ &&
        std::chrono::steady_clock::now() < expiry) {
      idle_changed_.wait_until(lock, expiry + kIdleSlack);
      continue;
    }
    const Idle oldest = std::move(idle_.front());
    idle_.pop_front();
    lock.unlock();
    EndIdling(oldest);
    lock.lock();
  }
}

// False: it has been opened again, or has gone already.
bool OpenTable::EndIdling(const Idle& idle) {
  Turn file(*this, idle.file);
  if (file->dead || file->idle_ticket != idle.ticket) return false;
  Remove(file);
  return true;
}

bool OpenTable::GiveUpOldestIdle() {
  for (;;) {
    Idle oldest;
    {
      std::lock_guard lock(idle_mutex_);
      if (idle_.empty()) return false;
      oldest = std::move(idle_.front());
      idle_.pop_front();
    }
    if (EndIdling(oldest)) return true;
  }
}

void OpenTable::GiveUpIdle() {
  {
    std::lock_guard lock(idle_mutex_);
    give_up_ = next_ticket_;
  }
  idle_changed_.notify_one();
}

void OpenTable::DropIdle(InodeId inode) {
  auto file = Find(inode);
  if (!file || (*file)->in_use()) return;
  if ((*file)->taken)
    (*file)->let_go = true;
  else
    LetGo(file->shared());
}

size_t OpenTable::open_inodes() const {
  size_t count = 0;
  for (const auto& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    count += shard.files.size();
  }
  return count;
}

}  // namespace pxfs::fs
