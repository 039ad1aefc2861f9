// Between the structs of the metadata interface and the messages of rpc/metadata.proto.
//
// Encode(message, value) fills an empty message. Decode(message, value, validity) fills a default
// value; what a message must not hold (a number that no enum has, a time beyond its second) clears
// the validity, and the value is then not to be used. Names, lengths and permissions are the
// service's to judge.
//
// A request's value is its method's arguments: Encode takes them one by one, Decode a tuple of
// them, whose string_views point into the message.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "meta/service.h"
#include "rpc/metadata.pb.h"

namespace pxfs::meta::remote {

namespace pb = rpc::metadata;

class Validity {
 public:
  void Fail() { ok_ = false; }
  explicit operator bool() const { return ok_; }

  // The enum value of a number, which must be from 1 to `last`.
  template <typename Enum>
  Enum ToEnum(uint32_t number, Enum last) {
    if (number < 1 || number > static_cast<uint32_t>(last)) ok_ = false;
    return ok_ ? static_cast<Enum>(number) : last;
  }

 private:
  bool ok_ = true;
};

// ---- values (codec_values.cc, codec_volumes.cc) ----

void Encode(pb::Context& to, const CallContext& from);
void Decode(const pb::Context& from, CallContext& to, Validity& validity);
void Encode(pb::Timestamp& to, const Timestamp& from);
void Decode(const pb::Timestamp& from, Timestamp& to, Validity& validity);
void Encode(pb::Hash128& to, const Hash128& from);
void Decode(const pb::Hash128& from, Hash128& to, Validity& validity);
void Encode(pb::Attr& to, const Attr& from);
void Decode(const pb::Attr& from, Attr& to, Validity& validity);
void Encode(pb::Replica& to, const Replica& from);
void Decode(const pb::Replica& from, Replica& to, Validity& validity);
void Encode(pb::CopyWishes& to, const CopyWishes& from);
void Decode(const pb::CopyWishes& from, CopyWishes& to, Validity& validity);
void Encode(pb::Location& to, const Location& from);
void Decode(const pb::Location& from, Location& to, Validity& validity);
void Encode(pb::ContentState& to, const ContentState& from);
void Decode(const pb::ContentState& from, ContentState& to, Validity& validity);
void Encode(pb::AttrChange& to, const AttrChange& from);
void Decode(const pb::AttrChange& from, AttrChange& to, Validity& validity);
void Encode(pb::NewNode& to, const NewNode& from);
void Decode(const pb::NewNode& from, NewNode& to, Validity& validity);
void Encode(pb::DirPage& to, const DirPage& from);
void Decode(const pb::DirPage& from, DirPage& to, Validity& validity);
void Encode(pb::Removed& to, const Removed& from);
void Decode(const pb::Removed& from, Removed& to, Validity& validity);
void Encode(pb::StatFs& to, const StatFs& from);
void Decode(const pb::StatFs& from, StatFs& to, Validity& validity);
void Encode(pb::Invalidation& to, const Invalidation& from);
void Decode(const pb::Invalidation& from, Invalidation& to, Validity& validity);

void Encode(pb::VolumeInfo& to, const VolumeInfo& from);
void Decode(const pb::VolumeInfo& from, VolumeInfo& to, Validity& validity);
void Encode(pb::VolumeReport& to, const VolumeReport& from);
void Decode(const pb::VolumeReport& from, VolumeReport& to, Validity& validity);
void Encode(pb::Policy& to, const Policy& from);
void Decode(const pb::Policy& from, Policy& to, Validity& validity);
void Encode(pb::PolicyView& to, const PolicyView& from);
void Decode(const pb::PolicyView& from, PolicyView& to, Validity& validity);
void Encode(pb::ReservedObject& to, const ReservedObject& from);
void Decode(const pb::ReservedObject& from, ReservedObject& to, Validity& validity);
void Encode(pb::ReservedObject& to, const ObjectRef& from);
void Decode(const pb::ReservedObject& from, ObjectRef& to, Validity& validity);
void Encode(pb::CopyTicket& to, const CopyTicket& from);
void Decode(const pb::CopyTicket& from, CopyTicket& to, Validity& validity);
void Encode(pb::ScrubFinding& to, const ScrubFinding& from);
void Decode(const pb::ScrubFinding& from, ScrubFinding& to, Validity& validity);
void Encode(pb::CopyCensus& to, const CopyCensus& from);
void Decode(const pb::CopyCensus& from, CopyCensus& to, Validity& validity);
void Encode(pb::TreeNode& to, const TreeNode& from);
void Decode(const pb::TreeNode& from, TreeNode& to, Validity& validity);
void Encode(pb::RecordWrite& to, const RecordWrite& from);
void Decode(const pb::RecordWrite& from, RecordWrite& to, Validity& validity);
void Encode(pb::ReclaimItem& to, const ReclaimItem& from);
void Decode(const pb::ReclaimItem& from, ReclaimItem& to, Validity& validity);
void Encode(pb::Statistics& to, const Statistics& from);
void Decode(const pb::Statistics& from, Statistics& to, Validity& validity);

// ---- what methods return, beyond the values above (codec_replies.cc) ----

struct Nothing {};  // of methods that return a Status
inline void Encode(pb::Empty&, Nothing) {}
inline void Decode(const pb::Empty&, Nothing&, Validity&) {}
void Encode(pb::Text& to, const std::string& from);
void Decode(const pb::Text& from, std::string& to, Validity& validity);
void Encode(pb::Texts& to, const std::vector<std::string>& from);
void Decode(const pb::Texts& from, std::vector<std::string>& to, Validity& validity);
void Encode(pb::Inodes& to, InodeId from);  // a single one
void Decode(const pb::Inodes& from, InodeId& to, Validity& validity);
void Encode(pb::Inodes& to, const std::vector<InodeId>& from);
void Decode(const pb::Inodes& from, std::vector<InodeId>& to, Validity& validity);
void Encode(pb::Locations& to, const std::vector<Location>& from);
void Decode(const pb::Locations& from, std::vector<Location>& to, Validity& validity);
void Encode(pb::ReservedObjects& to, const std::vector<ReservedObject>& from);
void Decode(const pb::ReservedObjects& from, std::vector<ReservedObject>& to, Validity& validity);
void Encode(pb::ReclaimItems& to, std::span<const ReclaimItem> from);
void Decode(const pb::ReclaimItems& from, std::vector<ReclaimItem>& to, Validity& validity);
void Encode(pb::VolumeInfos& to, const std::vector<VolumeInfo>& from);
void Decode(const pb::VolumeInfos& from, std::vector<VolumeInfo>& to, Validity& validity);
void Encode(pb::Records& to, const std::vector<Record>& from);
void Decode(const pb::Records& from, std::vector<Record>& to, Validity& validity);

// ---- the arguments of methods (codec_requests.cc) ----

// One argument as it is kept between decoding and calling: spans own their items.
template <typename T>
struct Stored {
  using type = std::remove_cvref_t<T>;
};
template <typename T>
struct Stored<std::span<const T>> {
  using type = std::vector<T>;
};
template <typename... A>
using Arguments = std::tuple<typename Stored<A>::type...>;

using NameArguments = Arguments<CallContext, InodeId, std::string_view>;
using MakeArguments = Arguments<CallContext, InodeId, std::string_view, NewNode>;
using LinkArguments = Arguments<CallContext, InodeId, InodeId, std::string_view>;
using RenameArguments =
    Arguments<CallContext, InodeId, std::string_view, InodeId, std::string_view, uint32_t>;
using ReadDirectoryArguments = Arguments<CallContext, InodeId, uint64_t, uint32_t, bool>;
using ResolveArguments = Arguments<CallContext, InodeId, std::string_view, bool>;
using InodeOnVolumeArguments = Arguments<CallContext, InodeId, VolumeId>;
using CommitCopyArguments = Arguments<CallContext, FinishedCopy>;
using DropReplicaArguments = Arguments<CallContext, ObjectRef>;
using SetCopyWishesArguments = Arguments<CallContext, InodeId, CopyWishes>;
using RemoveVolumeArguments = Arguments<VolumeId, bool>;
using SetAttrArguments = Arguments<CallContext, InodeId, AttrChange>;
using SetXattrArguments = Arguments<CallContext, InodeId, std::string_view, std::string_view, int>;
using ContentArguments = Arguments<CallContext, InodeId, ContentState>;
using EndMoveArguments = Arguments<CallContext, InodeId, uint64_t, bool>;
using RecoveredArguments = Arguments<InodeId, ContentState>;
using ForgetArguments = Arguments<SessionId, std::span<const InodeId>>;
using ReserveArguments = Arguments<CallContext, InodeId, std::span<const ReserveItem>>;
using AddTreeArguments = Arguments<CallContext, InodeId, std::span<const TreeNode>, IfExists>;
using AttachArguments =
    Arguments<CallContext, InodeId, InodeId, std::string_view, std::span<const RecordWrite>>;
using DiscardArguments = Arguments<CallContext, std::span<const InodeId>>;
using WaitArguments = Arguments<uint32_t, std::chrono::milliseconds>;
using VolumeInodesArguments = Arguments<VolumeId, InodeId, uint32_t>;
using SetPolicyArguments = Arguments<CallContext, InodeId, Policy>;
using ScanArguments = Arguments<std::string_view, std::string_view, uint32_t>;
using DumpArguments = Arguments<DumpTarget>;
using WriteRecordsArguments = Arguments<std::span<const RecordWrite>, bool>;

inline void Encode(pb::Empty&) {}
inline void Decode(const pb::Empty&, Arguments<>&, Validity&) {}
void Encode(pb::NameRequest& to, const CallContext& ctx, InodeId parent, std::string_view name);
void Decode(const pb::NameRequest& from, NameArguments& to, Validity& validity);
void Encode(pb::MakeRequest& to, const CallContext& ctx, InodeId parent, std::string_view name,
            const NewNode& node);
void Decode(const pb::MakeRequest& from, MakeArguments& to, Validity& validity);
void Encode(pb::LinkRequest& to, const CallContext& ctx, InodeId inode, InodeId parent,
            std::string_view name);
void Decode(const pb::LinkRequest& from, LinkArguments& to, Validity& validity);
void Encode(pb::RenameRequest& to, const CallContext& ctx, InodeId parent, std::string_view name,
            InodeId new_parent, std::string_view new_name, uint32_t flags);
void Decode(const pb::RenameRequest& from, RenameArguments& to, Validity& validity);
void Encode(pb::ReadDirectoryRequest& to, const CallContext& ctx, InodeId directory,
            uint64_t cookie, uint32_t limit, bool with_attr);
void Decode(const pb::ReadDirectoryRequest& from, ReadDirectoryArguments& to, Validity& validity);
void Encode(pb::ResolveRequest& to, const CallContext& ctx, InodeId start, std::string_view path,
            bool follow_last);
void Decode(const pb::ResolveRequest& from, ResolveArguments& to, Validity& validity);
void Encode(pb::InodeRequest& to, InodeId inode);
void Decode(const pb::InodeRequest& from, Arguments<InodeId>& to, Validity& validity);
void Encode(pb::InodeRequest& to, const CallContext& ctx, InodeId inode);
void Decode(const pb::InodeRequest& from, Arguments<CallContext, InodeId>& to, Validity& validity);
void Encode(pb::InodeOnVolumeRequest& to, const CallContext& ctx, InodeId inode, VolumeId volume);
void Decode(const pb::InodeOnVolumeRequest& from, InodeOnVolumeArguments& to, Validity& validity);
void Encode(pb::CommitCopyRequest& to, const CallContext& ctx, const FinishedCopy& copy);
void Decode(const pb::CommitCopyRequest& from, CommitCopyArguments& to, Validity& validity);
void Encode(pb::DropReplicaRequest& to, const CallContext& ctx, const ObjectRef& replica);
void Decode(const pb::DropReplicaRequest& from, DropReplicaArguments& to, Validity& validity);
void Encode(pb::SetCopyWishesRequest& to, const CallContext& ctx, InodeId inode,
            const CopyWishes& wishes);
void Decode(const pb::SetCopyWishesRequest& from, SetCopyWishesArguments& to, Validity& validity);
void Encode(pb::RemoveVolumeRequest& to, VolumeId volume, bool lost);
void Decode(const pb::RemoveVolumeRequest& from, RemoveVolumeArguments& to, Validity& validity);
void Decode(const pb::ScrubFinding& from, Arguments<ScrubFinding>& to, Validity& validity);
void Encode(pb::SetAttrRequest& to, const CallContext& ctx, InodeId inode,
            const AttrChange& change);
void Decode(const pb::SetAttrRequest& from, SetAttrArguments& to, Validity& validity);
void Encode(pb::XattrRequest& to, const CallContext& ctx, InodeId inode, std::string_view name);
void Decode(const pb::XattrRequest& from, NameArguments& to, Validity& validity);
void Encode(pb::XattrRequest& to, const CallContext& ctx, InodeId inode, std::string_view name,
            std::string_view value, int flags);
void Decode(const pb::XattrRequest& from, SetXattrArguments& to, Validity& validity);
void Encode(pb::EndMoveRequest& to, const CallContext& ctx, InodeId inode,
            uint64_t object_generation, bool moved);
void Decode(const pb::EndMoveRequest& from, EndMoveArguments& to, Validity& validity);
void Encode(pb::ContentRequest& to, const CallContext& ctx, InodeId inode,
            const ContentState& content);
void Decode(const pb::ContentRequest& from, ContentArguments& to, Validity& validity);
void Encode(pb::ContentRequest& to, InodeId inode, const ContentState& content);
void Decode(const pb::ContentRequest& from, RecoveredArguments& to, Validity& validity);
void Encode(pb::ForgetRequest& to, SessionId session, std::span<const InodeId> inodes);
void Decode(const pb::ForgetRequest& from, ForgetArguments& to, Validity& validity);
void Encode(pb::ReserveRequest& to, const CallContext& ctx, InodeId directory,
            std::span<const ReserveItem> items);
void Decode(const pb::ReserveRequest& from, ReserveArguments& to, Validity& validity);
void Encode(pb::CreateDetachedRequest& to, const CallContext& ctx, uint32_t mode);
void Decode(const pb::CreateDetachedRequest& from, Arguments<CallContext, uint32_t>& to,
            Validity& validity);
void Encode(pb::AddTreeRequest& to, const CallContext& ctx, InodeId directory,
            std::span<const TreeNode> nodes, IfExists if_exists);
void Decode(const pb::AddTreeRequest& from, AddTreeArguments& to, Validity& validity);
void Encode(pb::AttachRequest& to, const CallContext& ctx, InodeId detached, InodeId parent,
            std::string_view name, std::span<const RecordWrite> records);
void Decode(const pb::AttachRequest& from, AttachArguments& to, Validity& validity);
void Encode(pb::DiscardRequest& to, const CallContext& ctx, std::span<const InodeId> inodes);
void Decode(const pb::DiscardRequest& from, DiscardArguments& to, Validity& validity);
void Encode(pb::WaitReclaimableRequest& to, uint32_t limit, std::chrono::milliseconds wait);
void Decode(const pb::WaitReclaimableRequest& from, WaitArguments& to, Validity& validity);
void Decode(const pb::ReclaimItems& from, Arguments<std::span<const ReclaimItem>>& to,
            Validity& validity);
void Decode(const pb::VolumeInfo& from, Arguments<VolumeInfo>& to, Validity& validity);
void Decode(const pb::VolumeReport& from, Arguments<VolumeReport>& to, Validity& validity);
void Encode(pb::ListVolumeInodesRequest& to, VolumeId volume, InodeId after, uint32_t limit);
void Decode(const pb::ListVolumeInodesRequest& from, VolumeInodesArguments& to, Validity& validity);
void Encode(pb::SetPolicyRequest& to, const CallContext& ctx, InodeId directory,
            const Policy& policy);
void Decode(const pb::SetPolicyRequest& from, SetPolicyArguments& to, Validity& validity);
void Encode(pb::ScanRecordsRequest& to, std::string_view prefix, std::string_view after,
            uint32_t limit);
void Decode(const pb::ScanRecordsRequest& from, ScanArguments& to, Validity& validity);
void Encode(pb::WriteRecordsRequest& to, std::span<const RecordWrite> writes, bool sync);
void Decode(const pb::WriteRecordsRequest& from, WriteRecordsArguments& to, Validity& validity);
void Encode(pb::DumpRequest& to, const DumpTarget& target);
void Decode(const pb::DumpRequest& from, DumpArguments& to, Validity& validity);

}  // namespace pxfs::meta::remote
