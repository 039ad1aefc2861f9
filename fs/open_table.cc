#include "fs/open_table.h"

#include <algorithm>
#include <utility>

namespace pxfs::fs {

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

void OpenTable::GiveUp(Turn& file) {
  if (!file->in_use() && file->idle_ticket == 0) Remove(file);
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

bool OpenTable::IsWritten(InodeId inode) {
  auto file = Find(inode);
  return file && (*file)->written();
}

bool OpenTable::HasBacking(InodeId inode) {
  auto file = Find(inode);
  return file && (*file)->record->backing_id > 0;
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

size_t OpenTable::open_inodes() const {
  size_t count = 0;
  for (const auto& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    count += shard.files.size();
  }
  return count;
}

}  // namespace pxfs::fs
