// MetadataService over a socket: every method is its line of the table.
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "meta/remote/caller.h"
#include "meta/remote/message.h"
#include "meta/remote/methods.h"
#include "meta/remote/sessions_client.h"
#include "meta/remote_service.h"

namespace pxfs::meta {
namespace {

using namespace remote;  // NOLINT(google-build-using-namespace): all of this file is about it
using std::string_view;

// Numbers of requests that the caller gave none. They begin at a random place above those that the
// kernel's counters reach, so that a process that resumes a session does not use numbers of the one
// before.
constexpr uint64_t kOwnRequests = 1ull << 62;

class RemoteService : public MetadataService {
 public:
  RemoteService(std::unique_ptr<Caller> calls, std::unique_ptr<Caller> sessions,
                uint64_t first_request)
      : calls_(std::move(calls)), sessions_(std::move(sessions)), next_request_(first_request) {}

  Result<SessionId> OpenSession(const SessionSpec& spec) override { return sessions_.Open(spec); }
  Status CloseSession(SessionId session) override { return sessions_.Close(session); }

  Result<Attr> Lookup(const CallContext& ctx, InodeId parent, string_view name) override {
    return Call<&S::Lookup>(ctx, parent, name);
  }
  Result<Attr> MakeNode(const CallContext& ctx, InodeId parent, string_view name,
                        const NewNode& node) override {
    return Call<&S::MakeNode>(ctx, parent, name, node);
  }
  Result<Location> Create(const CallContext& ctx, InodeId parent, string_view name,
                          const NewNode& node) override {
    return Call<&S::Create>(ctx, parent, name, node);
  }
  Result<Attr> Link(const CallContext& ctx, InodeId inode, InodeId parent,
                    string_view name) override {
    return Call<&S::Link>(ctx, inode, parent, name);
  }
  Result<Removed> Unlink(const CallContext& ctx, InodeId parent, string_view name) override {
    return Call<&S::Unlink>(ctx, parent, name);
  }
  Result<Removed> RemoveDirectory(const CallContext& ctx, InodeId parent,
                                  string_view name) override {
    return Call<&S::RemoveDirectory>(ctx, parent, name);
  }
  Result<Removed> Rename(const CallContext& ctx, InodeId parent, string_view name,
                         InodeId new_parent, string_view new_name, uint32_t flags) override {
    return Call<&S::Rename>(ctx, parent, name, new_parent, new_name, flags);
  }
  Result<DirPage> ReadDirectory(const CallContext& ctx, InodeId directory, uint64_t cookie,
                                uint32_t limit, bool with_attr) override {
    return Call<&S::ReadDirectory>(ctx, directory, cookie, limit, with_attr);
  }
  Result<std::string> ReadLink(const CallContext& ctx, InodeId inode) override {
    return Call<&S::ReadLink>(ctx, inode);
  }
  Result<Attr> Resolve(const CallContext& ctx, InodeId start, string_view path,
                       bool follow_last) override {
    return Call<&S::Resolve>(ctx, start, path, follow_last);
  }
  Result<std::string> PathOf(InodeId inode) override { return Call<&S::PathOf>(inode); }

  Result<Attr> GetAttr(const CallContext& ctx, InodeId inode) override {
    return Call<&S::GetAttr>(ctx, inode);
  }
  Result<Attr> SetAttr(const CallContext& ctx, InodeId inode, const AttrChange& change) override {
    return Call<&S::SetAttr>(ctx, inode, change);
  }
  Result<std::string> GetXattr(const CallContext& ctx, InodeId inode, string_view name) override {
    return Call<&S::GetXattr>(ctx, inode, name);
  }
  Status SetXattr(const CallContext& ctx, InodeId inode, string_view name, string_view value,
                  int flags) override {
    return Call<&S::SetXattr>(ctx, inode, name, value, flags);
  }
  Result<std::vector<std::string>> ListXattrs(const CallContext& ctx, InodeId inode) override {
    return Call<&S::ListXattrs>(ctx, inode);
  }
  Status RemoveXattr(const CallContext& ctx, InodeId inode, string_view name) override {
    return Call<&S::RemoveXattr>(ctx, inode, name);
  }

  Result<Location> Locate(const CallContext& ctx, InodeId inode) override {
    return Call<&S::Locate>(ctx, inode);
  }
  Result<Location> OpenForWrite(const CallContext& ctx, InodeId inode,
                                VolumeId preferred) override {
    return Call<&S::OpenForWrite>(ctx, inode, preferred);
  }
  Result<Location> EndMove(const CallContext& ctx, InodeId inode, uint64_t object_generation,
                           bool moved) override {
    return Call<&S::EndMove>(ctx, inode, object_generation, moved);
  }
  Status CommitContent(const CallContext& ctx, InodeId inode,
                       const ContentState& content) override {
    return Call<&S::CommitContent>(ctx, inode, content);
  }
  Status CloseWrite(const CallContext& ctx, InodeId inode, const ContentState& content) override {
    return Call<&S::CloseWrite>(ctx, inode, content);
  }
  Status Forget(SessionId session, std::span<const InodeId> inodes) override {
    return Call<&S::Forget>(session, inodes);
  }
  Status Sync() override { return Call<&S::Sync>(); }
  Result<StatFs> GetStatFs() override { return Call<&S::GetStatFs>(); }
  Result<std::vector<Location>> FilesToRecover() override { return Call<&S::FilesToRecover>(); }
  Status CommitRecovered(InodeId inode, const ContentState& content) override {
    return Call<&S::CommitRecovered>(inode, content);
  }

  Result<CopyTicket> BeginCopy(const CallContext& ctx, InodeId inode, VolumeId target) override {
    return Call<&S::BeginCopy>(ctx, inode, target);
  }
  Status CommitCopy(const CallContext& ctx, const FinishedCopy& copy) override {
    return Call<&S::CommitCopy>(ctx, copy);
  }
  Status DropReplica(const CallContext& ctx, const ObjectRef& replica) override {
    return Call<&S::DropReplica>(ctx, replica);
  }
  Status SetCopyWishes(const CallContext& ctx, InodeId inode, const CopyWishes& wishes) override {
    return Call<&S::SetCopyWishes>(ctx, inode, wishes);
  }
  Status ReportScrub(const ScrubFinding& finding) override {
    return Call<&S::ReportScrub>(finding);
  }
  Result<CopyCensus> GetCopyCensus() override { return Call<&S::GetCopyCensus>(); }

  Result<std::vector<ReservedObject>> Reserve(const CallContext& ctx, InodeId directory,
                                              std::span<const ReserveItem> items) override {
    return Call<&S::Reserve>(ctx, directory, items);
  }
  Result<InodeId> CreateDetached(const CallContext& ctx, uint32_t mode) override {
    return Call<&S::CreateDetached>(ctx, mode);
  }
  Status AddTree(const CallContext& ctx, InodeId directory, std::span<const TreeNode> nodes,
                 IfExists if_exists) override {
    return Call<&S::AddTree>(ctx, directory, nodes, if_exists);
  }
  Status Attach(const CallContext& ctx, InodeId detached, InodeId parent, string_view name,
                std::span<const RecordWrite> records) override {
    return Call<&S::Attach>(ctx, detached, parent, name, records);
  }
  Status Discard(const CallContext& ctx, std::span<const InodeId> inodes) override {
    return Call<&S::Discard>(ctx, inodes);
  }

  Result<std::vector<ReclaimItem>> WaitReclaimable(uint32_t limit,
                                                   std::chrono::milliseconds wait) override;
  Status Reclaimed(std::span<const ReclaimItem> items) override {
    return Call<&S::Reclaimed>(items);
  }

  Result<VolumeInfo> AddVolume(const VolumeInfo& volume) override {
    return Call<&S::AddVolume>(volume);
  }
  Result<std::vector<VolumeInfo>> ListVolumes() override { return Call<&S::ListVolumes>(); }
  Status UpdateVolume(const VolumeInfo& volume) override { return Call<&S::UpdateVolume>(volume); }
  Status RemoveVolume(VolumeId volume, bool lost) override {
    return Call<&S::RemoveVolume>(volume, lost);
  }
  Status ReportVolume(const VolumeReport& report) override {
    return Call<&S::ReportVolume>(report);
  }
  Result<std::vector<InodeId>> ListVolumeInodes(VolumeId volume, InodeId after,
                                                uint32_t limit) override {
    return Call<&S::ListVolumeInodes>(volume, after, limit);
  }
  Result<PolicyView> GetPolicy(InodeId inode) override { return Call<&S::GetPolicy>(inode); }
  Status SetPolicy(const CallContext& ctx, InodeId directory, const Policy& policy) override {
    return Call<&S::SetPolicy>(ctx, directory, policy);
  }

  Result<std::vector<Record>> ScanRecords(string_view prefix, string_view after,
                                          uint32_t limit) override {
    return Call<&S::ScanRecords>(prefix, after, limit);
  }
  Status WriteRecords(std::span<const RecordWrite> writes, bool sync) override {
    return Call<&S::WriteRecords>(writes, sync);
  }
  Result<Statistics> GetStatistics() override { return Call<&S::GetStatistics>(); }
  Status Dump(const DumpTarget& target) override { return Call<&S::Dump>(target); }

 private:
  template <auto Member, typename... A>
  typename MethodOf<Member>::Returned Call(const A&... arguments);

  // The argument as it is sent: a context of a change gets a number of its own if it has none.
  template <typename Method, typename Argument>
  decltype(auto) Numbered(const Argument& argument) {
    if constexpr (std::is_same_v<Argument, CallContext> && Method::kAccess == Access::kChange) {
      CallContext numbered = argument;
      if (numbered.request == 0)
        numbered.request = next_request_.fetch_add(1, std::memory_order_relaxed);
      return numbered;
    } else {
      return (argument);
    }
  }

  const std::unique_ptr<Caller> calls_;
  SessionsClient sessions_;
  std::atomic<uint64_t> next_request_;
};

template <auto Member, typename... A>
typename MethodOf<Member>::Returned RemoteService::Call(const A&... arguments) {
  using Method = MethodOf<Member>;
  OnArena<typename Method::Request> request;
  Encode(*request, Numbered<Method>(arguments)...);
  PXFS_ASSIGN(const std::string request_bytes, request.Serialize());
  PXFS_ASSIGN(const std::string reply_bytes, calls_->Call(Method::kNumber, request_bytes));
  OnArena<typename Method::Reply> reply;
  PXFS_TRY(reply.Parse(reply_bytes));
  typename Method::Value value;
  Validity validity;
  Decode(*reply, value, validity);
  if (!validity) return Fail(Code::kCorruption, "a reply that makes no sense");
  if constexpr (std::is_void_v<typename Method::Returned::value_type>) {
    return {};
  } else {
    return value;
  }
}

Result<std::vector<ReclaimItem>> RemoteService::WaitReclaimable(uint32_t limit,
                                                                std::chrono::milliseconds wait) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + wait;
  for (;;) {
    // The server answers sooner than it is asked to.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    auto items = Call<&S::WaitReclaimable>(limit, std::max(left, std::chrono::milliseconds(0)));
    if (!items || !items->empty() || left.count() <= 0) return items;
  }
}

}  // namespace

Result<std::unique_ptr<MetadataService>> ConnectRemoteService(const RemoteOptions& options) {
  uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) return FailErrno(errno, "getrandom");
  PXFS_ASSIGN(auto calls, Caller::Connect(options.socket_path, options.retry));
  bool answered = false;
  const auto described = calls->CallOnce(pb::METHOD_DESCRIBE, {}, &answered);
  if (!described) return Fail(described.error().WithContext(options.socket_path));
  PXFS_ASSIGN(auto sessions, Caller::Connect(options.socket_path, options.retry));
  return std::unique_ptr<MetadataService>(std::make_unique<RemoteService>(
      std::move(calls), std::move(sessions), kOwnRequests | (random % (kOwnRequests >> 1))));
}

}  // namespace pxfs::meta
