// LocalService: MetadataService over a Store. Each method is in a file of its own below meta/ops/;
// this header is for them alone.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/unique_fd.h"
#include "meta/local_service.h"
#include "meta/orphans.h"
#include "meta/policies.h"
#include "meta/reclaim_queue.h"
#include "meta/repetitions.h"
#include "meta/service.h"
#include "meta/sessions.h"
#include "meta/store.h"
#include "meta/volume_table.h"

namespace pxfs::meta {

struct ServiceOptions {
  StoreOptions store;
  std::chrono::milliseconds revoke_timeout{10'000};
  std::chrono::milliseconds session_grace{0};
  std::chrono::milliseconds reclaim_retry{30'000};
};

class LocalService final : public MetadataService, public StoreKeeper {
 public:
  // lock: the store's, given up when the service ends; may be empty (tests).
  static Result<std::unique_ptr<MetadataService>> Open(std::unique_ptr<KvEngine> engine,
                                                       ServiceOptions options, UniqueFd lock);
  ~LocalService() override;

  Result<SessionId> OpenSession(const SessionSpec& spec) override;
  Status CloseSession(SessionId session) override;

  Result<Attr> Lookup(const CallContext& ctx, InodeId parent, std::string_view name) override;
  Result<Attr> MakeNode(const CallContext& ctx, InodeId parent, std::string_view name,
                        const NewNode& node) override;
  Result<Location> Create(const CallContext& ctx, InodeId parent, std::string_view name,
                          const NewNode& node) override;
  Result<Attr> Link(const CallContext& ctx, InodeId inode, InodeId parent,
                    std::string_view name) override;
  Result<Removed> Unlink(const CallContext& ctx, InodeId parent, std::string_view name) override;
  Result<Removed> RemoveDirectory(const CallContext& ctx, InodeId parent,
                                  std::string_view name) override;
  Result<Removed> Rename(const CallContext& ctx, InodeId parent, std::string_view name,
                         InodeId new_parent, std::string_view new_name, uint32_t flags) override;
  Result<DirPage> ReadDirectory(const CallContext& ctx, InodeId directory, uint64_t cookie,
                                uint32_t limit, bool with_attr) override;
  Result<std::string> ReadLink(const CallContext& ctx, InodeId inode) override;
  Result<Attr> Resolve(const CallContext& ctx, InodeId start, std::string_view path,
                       bool follow_last) override;
  Result<std::string> PathOf(InodeId inode) override;

  Result<Attr> GetAttr(const CallContext& ctx, InodeId inode) override;
  Result<Attr> SetAttr(const CallContext& ctx, InodeId inode, const AttrChange& change) override;
  Result<std::string> GetXattr(const CallContext& ctx, InodeId inode,
                               std::string_view name) override;
  Status SetXattr(const CallContext& ctx, InodeId inode, std::string_view name,
                  std::string_view value, int flags) override;
  Result<std::vector<std::string>> ListXattrs(const CallContext& ctx, InodeId inode) override;
  Status RemoveXattr(const CallContext& ctx, InodeId inode, std::string_view name) override;

  Result<Location> Locate(const CallContext& ctx, InodeId inode) override;
  Result<Location> OpenForWrite(const CallContext& ctx, InodeId inode, VolumeId preferred) override;
  Result<Location> EndMove(const CallContext& ctx, InodeId inode, uint64_t object_generation,
                           bool moved) override;
  Status CommitContent(const CallContext& ctx, InodeId inode, const ContentState& content) override;
  Status CloseWrite(const CallContext& ctx, InodeId inode, const ContentState& content) override;
  Status Forget(SessionId session, std::span<const InodeId> inodes) override;
  Status Sync() override;
  Result<StatFs> GetStatFs() override;

  Result<std::vector<Location>> FilesToRecover() override;
  Status CommitRecovered(InodeId inode, const ContentState& content) override;

  Result<CopyTicket> BeginCopy(const CallContext& ctx, InodeId inode, VolumeId target) override;
  Status CommitCopy(const CallContext& ctx, const FinishedCopy& copy) override;
  Status DropReplica(const CallContext& ctx, const ObjectRef& replica) override;
  Status SetCopyWishes(const CallContext& ctx, InodeId inode, const CopyWishes& wishes) override;
  Status ReportScrub(const ScrubFinding& finding) override;
  Result<CopyCensus> GetCopyCensus() override;

  Result<std::vector<ReservedObject>> Reserve(const CallContext& ctx, InodeId directory,
                                              std::span<const ReserveItem> items) override;
  Result<InodeId> CreateDetached(const CallContext& ctx, uint32_t mode) override;
  Status AddTree(const CallContext& ctx, InodeId directory, std::span<const TreeNode> nodes,
                 IfExists if_exists) override;
  Status Attach(const CallContext& ctx, InodeId detached, InodeId parent, std::string_view name,
                std::span<const RecordWrite> records) override;
  Status Discard(const CallContext& ctx, std::span<const InodeId> inodes) override;

  Result<std::vector<ReclaimItem>> WaitReclaimable(uint32_t limit,
                                                   std::chrono::milliseconds wait) override;
  Status Reclaimed(std::span<const ReclaimItem> items) override;

  Result<VolumeInfo> AddVolume(const VolumeInfo& volume) override;
  Result<std::vector<VolumeInfo>> ListVolumes() override;
  Status UpdateVolume(const VolumeInfo& volume) override;
  Status RemoveVolume(VolumeId volume, bool lost) override;
  Status ReportVolume(const VolumeReport& report) override;
  Result<std::vector<InodeId>> ListVolumeInodes(VolumeId volume, InodeId after,
                                                uint32_t limit) override;

  Result<PolicyView> GetPolicy(InodeId inode) override;
  Status SetPolicy(const CallContext& ctx, InodeId directory, const Policy& policy) override;

  Result<std::vector<Record>> ScanRecords(std::string_view prefix, std::string_view after,
                                          uint32_t limit) override;
  Status WriteRecords(std::span<const RecordWrite> writes, bool sync) override;

  Result<Statistics> GetStatistics() override;
  Status Dump(const DumpTarget& target) override;

  StoreKeeper* keeper() override { return this; }
  Result<uint64_t> BeginCheckpoint() override;
  Status EndCheckpoint(uint64_t checkpoint) override;
  bool PowerWasLost() override;
  Result<std::vector<ObjectRef>> UnknownObjects(std::span<const ObjectRef> objects) override;
  Status PowerLossSettled() override;
  void BeginServing() override;
  void ReportCopying(const CopyRates& rates) override;
  void ShrinkCaches() override;

 private:
  LocalService(std::unique_ptr<Store> store, const ServiceOptions& options, UniqueFd lock);

  Result<Location> CreateNameless(const CallContext& ctx, InodeId directory, const NewNode& node);
  Result<Location> LocateUnchecked(InodeId inode);
  // The location with what the file's policy says of it.
  Result<Location> ByPolicy(Result<Location> location) const;
  // The replica of a file that is about to be made in `directory`, by its policy.
  Result<Replica> PlaceFile(InodeId directory, InodeId inode, uint64_t size_bytes);
  // Where content that its volume has no room for shall go, as a replica in state kCopying is added
  // for it; nothing where no volume takes it.
  Status PlanMove(InodeRecord& inode, const Replica& primary);
  // Nobody writes the inode any more: copies of moves that were not ended are reclaimed.
  Status DropCopies(Transaction& tx, InodeRecord& inode);
  // Queues a file whose content is new, if it is to have copies. above: the directory whose policy
  // holds where the file's own is made in this transaction.
  Status WantCopies(Transaction& tx, const InodeRecord& file, InodeId above = {});
  // Takes the replica on a volume that is lost out of the file, or makes it kMissing.
  Status ForgetReplica(InodeId inode, VolumeId volume);
  // kNotEmpty and so on, as RemoveVolume has them.
  Status CheckUnused(const VolumeInfo& volume);
  // Queues a file, or a directory with all it holds, for a look at its copies.
  Status LookAtCopies(Transaction& tx, InodeId inode);
  // What both ways of ending a session do.
  Status EndSession(SessionId session);
  // Ends sessions that records speak of and that do not exist.
  Status EndStraySessions();
  // Puts files whose content may not be what their record says among FilesToRecover.
  Status DistrustUnsyncedContent();
  // A reserved object, or a detached directory with all it holds. What is not reserved any more is
  // skipped.
  Status DiscardOne(SessionId session, InodeId inode);
  Status DiscardTree(const std::string& reservation, InodeId root);
  Status RemoveAll(Transaction& tx, InodeId directory, const std::vector<EntryRecord>& entries);

  const UniqueFd lock_;  // outlives the store
  const ServiceOptions options_;
  const std::unique_ptr<Store> store_;
  InodeId first_new_inode_;  // of those that this process numbers
  SessionTable sessions_;
  VolumeTable volumes_;
  PolicyTable policies_;
  ReclaimQueue reclaim_;
  Orphanage orphans_;
  Repetitions repetitions_;
  mutable std::mutex copying_mutex_;  // guards copying_
  CopyRates copying_;
};

}  // namespace pxfs::meta
