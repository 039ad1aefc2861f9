#include "cli/ingest/store_batch.h"

#include <fcntl.h>

#include "cli/ingest/publish.h"
#include "cli/ingest/source.h"
#include "volumes/copy.h"

namespace pxfs::cli {
namespace {

using meta::ReservedObject;

class BatchStore {
 public:
  BatchStore(IngestJob& job, const Batch& batch) : job_(job), batch_(batch), files_(batch.files) {}

  void Run() {
    const std::vector<std::optional<ReservedObject>> reserved = ReserveAll();
    for (size_t i = 0; i < files_.size() && !job_.Stopping(); ++i) {
      if (!reserved[i]) continue;
      SourceState state;
      auto node = StoreWithRetry(files_[i], *reserved[i], &state);
      if (node) {
        nodes_.push_back(std::move(*node));
        stored_.push_back({&files_[i], state});
      } else if (node.error() != Code::kInterrupted) {
        job_.problems.Add(node.error().message());
      }
    }
    // Also what is complete when the user says stop: the work is done.
    PublishStored();
    if (!unused_.empty()) {
      if (const auto discarded = job_.cluster.metadata().Discard(job_.ctx, unused_); !discarded)
        job_.Abort(discarded.error());
    }
  }

 private:
  meta::ReserveItem ItemFor(const FileTask& file) const {
    return {file.relative.substr(batch_.policy_prefix), file.size_bytes, file.adopt_on};
  }

  Result<std::vector<ReservedObject>> Reserve(std::span<const meta::ReserveItem> items) {
    return job_.cluster.metadata().Reserve(job_.ctx, batch_.policy_directory, items);
  }

  Result<ReservedObject> ReserveOne(const FileTask& file) {
    const meta::ReserveItem item = ItemFor(file);
    PXFS_ASSIGN(const std::vector<ReservedObject> reserved, Reserve({&item, 1}));
    if (reserved.size() != 1)
      return Fail(Code::kCorruption, "reserve: as many answers as files were expected");
    return reserved.front();
  }

  // All at once; where that fails each by itself, as perhaps only some are too large for the room
  // there is.
  std::vector<std::optional<ReservedObject>> ReserveAll() {
    std::vector<std::optional<ReservedObject>> result(files_.size());
    std::vector<meta::ReserveItem> items;
    for (const FileTask& file : files_) items.push_back(ItemFor(file));
    const auto all = Reserve(items);
    if (all && all->size() == files_.size()) {
      std::copy(all->begin(), all->end(), result.begin());
      return result;
    }
    for (size_t i = 0; i < files_.size() && !job_.Stopping(); ++i) {
      const auto one = ReserveOne(files_[i]);
      if (one)
        result[i] = *one;
      else
        Note(files_[i], one.error());
    }
    return result;
  }

  void Note(const FileTask& file, const Error& error) {
    if (IsFatal(error))
      job_.Abort(error);
    else
      job_.problems.Add(file.source + ": " + error.message());
  }

  // A volume may fill up between the reservation and the copying: then the file may fit elsewhere.
  Result<meta::TreeNode> StoreWithRetry(const FileTask& file, const ReservedObject& reserved,
                                        SourceState* state) {
    auto node = StoreFile(file, reserved, state);
    if (node) return node;
    unused_.push_back(reserved.inode);
    if (node.error() != Code::kNoSpace) return node;
    if (const auto volume = job_.cluster.volumes().Find(reserved.volume))
      PXFS_TRY(job_.cluster.metadata().ReportVolume(volume->Inspect()));
    auto second = ReserveOne(file);
    if (!second) return Fail(second.error().WithContext(file.source));
    if (second->volume != reserved.volume) node = StoreFile(file, *second, state);
    if (!node) unused_.push_back(second->inode);
    return node;
  }

  // Sets `state` to what the source was before it was read.
  Result<meta::TreeNode> StoreFile(const FileTask& file, const ReservedObject& reserved,
                                   SourceState* state) {
    const auto name_source = [&](Error error) { return error.WithContext(file.source); };
    auto volume = job_.cluster.volumes().Require(reserved.volume);
    if (!volume) return Fail(name_source(volume.error()));
    auto source = OpenSource(file.source, file.relative);
    if (!source) return Fail(name_source(source.error()));
    source->node.object = reserved;
    *state = SourceState::Of(source->st);
    Status stored = file.adopt_on ? Adopt(file, **volume, *source) : Fail(Code::kCrossDevice);
    if (!stored && CannotLink(stored.error())) stored = Copy(file, **volume, *source);
    if (stored) return std::move(source->node);
    if (stored.error() == Code::kNoSpace)
      return Fail(Code::kNoSpace, file.source + ": the volume " + (*volume)->name() + " at " +
                                      (*volume)->root() +
                                      " is full; add a volume or free some space");
    return Fail(name_source(stored.error()));
  }

  // Another mount of the volume's file system is another device to link(2), a file may be
  // immutable, or have all the links there can be: then it is copied.
  static bool CannotLink(const Error& error) {
    return error == Code::kCrossDevice || error == Code::kNotPermitted ||
           error == Code::kTooManyLinks;
  }

  Status Copy(const FileTask& file, const volumes::Volume& volume, SourceFile& source) {
    volumes::CopyOptions options;
    options.verify = job_.options.verify;
    options.origin = job_.destination.FullPath(file.relative);
    options.progress = [this](uint64_t bytes) {
      job_.counters.bytes_moved += bytes;
      return !job_.Stopping();
    };
    const meta::ReservedObject& object = source.node.object;
    PXFS_ASSIGN(const volumes::CopyResult copied,
                volumes::CopyIntoObject(volume, {object.inode, object.object_generation},
                                        OwnerOf(source.node), source.fd.get(), options));
    source.node.size_bytes = static_cast<uint64_t>(copied.object.st_size);
    source.node.blocks = static_cast<uint64_t>(copied.object.st_blocks);
    source.node.checksum = copied.checksum;
    return {};
  }

  // By a hard link even with --move: so the source is there until the file is published, whatever
  // happens.
  Status Adopt(const FileTask& file, const volumes::Volume& volume, SourceFile& source) {
    const meta::ReservedObject& object = source.node.object;
    const volumes::ObjectName name{object.inode, object.object_generation};
    PXFS_TRY(volume.AdoptByLink(AT_FDCWD, file.source, name));
    PXFS_ASSIGN(const struct stat st, volume.StatObject(name));
    if (st.st_ino != source.st.st_ino || st.st_dev != source.st.st_dev)
      return Fail(Code::kStale, "it was replaced while it was adopted; run again");
    const Status origin = volumes::Volume::SetOrigin(source.fd.get(), object.inode,
                                                     job_.destination.FullPath(file.relative));
    if (!origin && origin.error() != Code::kNotSupported) return origin;
    source.node.size_bytes = static_cast<uint64_t>(st.st_size);
    source.node.blocks = static_cast<uint64_t>(st.st_blocks);
    if (job_.options.verify) {
      PXFS_ASSIGN(source.node.checksum,
                  volumes::ChecksumFile(source.fd.get(), [this](uint64_t bytes) {
                    job_.counters.bytes_moved += bytes;
                    return !job_.Stopping();
                  }));
    } else {
      job_.counters.bytes_moved += source.node.size_bytes;
    }
    ++job_.counters.adopted;
    return {};
  }

  static volumes::ObjectOwner OwnerOf(const meta::TreeNode& node) {
    return {node.uid, node.gid, node.mode & 07777};
  }

  void PublishStored() {
    const std::vector<bool> added = Publish(job_, nodes_);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!added[i]) {
        unused_.push_back(nodes_[i].object.inode);
        continue;
      }
      job_.counters.AddFile(nodes_[i].object.volume, nodes_[i].size_bytes);
      const auto& [task, state] = stored_[i];
      if (task->linked) job_.NoteFirstName(task->relative);
      job_.RemoveLater(task->source, state);
    }
  }

  IngestJob& job_;
  const Batch& batch_;
  const std::vector<FileTask>& files_;
  std::vector<meta::TreeNode> nodes_;  // of files whose objects are complete
  std::vector<std::pair<const FileTask*, SourceState>> stored_;  // beside nodes_
  std::vector<InodeId> unused_;                                  // reserved in vain
};

}  // namespace

void StoreBatch(IngestJob& job, const Batch& batch) { BatchStore(job, batch).Run(); }

}  // namespace pxfs::cli
