// The arguments of methods.
#include "meta/remote/codec.h"
#include "meta/remote/codec_lists.h"

namespace pxfs::meta::remote {
namespace {

template <typename Request>
CallContext ContextOf(const Request& from, Validity& validity) {
  CallContext ctx;
  Decode(from.context(), ctx, validity);
  return ctx;
}

}  // namespace

void Encode(pb::NameRequest& to, const CallContext& ctx, InodeId parent, std::string_view name) {
  Encode(*to.mutable_context(), ctx);
  to.set_parent(parent.value);
  to.set_name(name.data(), name.size());
}

void Decode(const pb::NameRequest& from, NameArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.parent()), from.name()};
}

void Encode(pb::MakeRequest& to, const CallContext& ctx, InodeId parent, std::string_view name,
            const NewNode& node) {
  Encode(*to.mutable_context(), ctx);
  to.set_parent(parent.value);
  to.set_name(name.data(), name.size());
  Encode(*to.mutable_node(), node);
}

void Decode(const pb::MakeRequest& from, MakeArguments& to, Validity& validity) {
  NewNode node;
  Decode(from.node(), node, validity);
  to = {ContextOf(from, validity), InodeId(from.parent()), from.name(), std::move(node)};
}

void Encode(pb::LinkRequest& to, const CallContext& ctx, InodeId inode, InodeId parent,
            std::string_view name) {
  Encode(*to.mutable_context(), ctx);
  to.set_inode(inode.value);
  to.set_parent(parent.value);
  to.set_name(name.data(), name.size());
}

void Decode(const pb::LinkRequest& from, LinkArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.inode()), InodeId(from.parent()), from.name()};
}

void Encode(pb::RenameRequest& to, const CallContext& ctx, InodeId parent, std::string_view name,
            InodeId new_parent, std::string_view new_name, uint32_t flags) {
  Encode(*to.mutable_context(), ctx);
  to.set_parent(parent.value);
  to.set_name(name.data(), name.size());
  to.set_new_parent(new_parent.value);
  to.set_new_name(new_name.data(), new_name.size());
  to.set_flags(flags);
}

void Decode(const pb::RenameRequest& from, RenameArguments& to, Validity& validity) {
  to = {ContextOf(from, validity),  InodeId(from.parent()), from.name(),
        InodeId(from.new_parent()), from.new_name(),        from.flags()};
}

void Encode(pb::ReadDirectoryRequest& to, const CallContext& ctx, InodeId directory,
            uint64_t cookie, uint32_t limit, bool with_attr) {
  Encode(*to.mutable_context(), ctx);
  to.set_directory(directory.value);
  to.set_cookie(cookie);
  to.set_limit(limit);
  to.set_with_attr(with_attr);
}

void Decode(const pb::ReadDirectoryRequest& from, ReadDirectoryArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.directory()), from.cookie(), from.limit(),
        from.with_attr()};
}

void Encode(pb::ResolveRequest& to, const CallContext& ctx, InodeId start, std::string_view path,
            bool follow_last) {
  Encode(*to.mutable_context(), ctx);
  to.set_start(start.value);
  to.set_path(path.data(), path.size());
  to.set_follow_last(follow_last);
}

void Decode(const pb::ResolveRequest& from, ResolveArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.start()), from.path(), from.follow_last()};
}

void Encode(pb::InodeRequest& to, InodeId inode) { to.set_inode(inode.value); }

void Decode(const pb::InodeRequest& from, Arguments<InodeId>& to, Validity&) {
  to = {InodeId(from.inode())};
}

void Encode(pb::InodeRequest& to, const CallContext& ctx, InodeId inode) {
  Encode(*to.mutable_context(), ctx);
  to.set_inode(inode.value);
}

void Decode(const pb::InodeRequest& from, Arguments<CallContext, InodeId>& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.inode())};
}

void Encode(pb::SetCopyWishesRequest& to, const CallContext& ctx, InodeId inode,
            const CopyWishes& wishes) {
  Encode(*to.mutable_context(), ctx);
  to.set_inode(inode.value);
  Encode(*to.mutable_wishes(), wishes);
}

void Decode(const pb::SetCopyWishesRequest& from, SetCopyWishesArguments& to, Validity& validity) {
  auto& [ctx, inode, wishes] = to;
  Decode(from.context(), ctx, validity);
  inode = InodeId(from.inode());
  Decode(from.wishes(), wishes, validity);
}

void Encode(pb::RemoveVolumeRequest& to, VolumeId volume, bool lost) {
  to.set_volume(volume.value);
  to.set_lost(lost);
}

void Decode(const pb::RemoveVolumeRequest& from, RemoveVolumeArguments& to, Validity&) {
  to = {VolumeId(from.volume()), from.lost()};
}

void Decode(const pb::ScrubFinding& from, Arguments<ScrubFinding>& to, Validity& validity) {
  Decode(from, std::get<0>(to), validity);
}

void Encode(pb::SetAttrRequest& to, const CallContext& ctx, InodeId inode,
            const AttrChange& change) {
  Encode(*to.mutable_context(), ctx);
  to.set_inode(inode.value);
  Encode(*to.mutable_change(), change);
}

void Decode(const pb::SetAttrRequest& from, SetAttrArguments& to, Validity& validity) {
  AttrChange change;
  Decode(from.change(), change, validity);
  to = {ContextOf(from, validity), InodeId(from.inode()), std::move(change)};
}

void Encode(pb::XattrRequest& to, const CallContext& ctx, InodeId inode, std::string_view name) {
  Encode(*to.mutable_context(), ctx);
  to.set_inode(inode.value);
  to.set_name(name.data(), name.size());
}

void Decode(const pb::XattrRequest& from, NameArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.inode()), from.name()};
}

void Encode(pb::XattrRequest& to, const CallContext& ctx, InodeId inode, std::string_view name,
            std::string_view value, int flags) {
  Encode(to, ctx, inode, name);
  to.set_value(value.data(), value.size());
  to.set_flags(flags);
}

void Decode(const pb::XattrRequest& from, SetXattrArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.inode()), from.name(), from.value(), from.flags()};
}

void Encode(pb::InodeOnVolumeRequest& to, const CallContext& ctx, InodeId inode, VolumeId volume) {
  Encode(*to.mutable_context(), ctx);
  to.set_inode(inode.value);
  to.set_volume(volume.value);
}

void Decode(const pb::InodeOnVolumeRequest& from, InodeOnVolumeArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.inode()), VolumeId(from.volume())};
}

void Encode(pb::CommitCopyRequest& to, const CallContext& ctx, const FinishedCopy& copy) {
  Encode(*to.mutable_context(), ctx);
  Encode(*to.mutable_object(), copy.object);
  to.set_generation(copy.generation);
  Encode(*to.mutable_checksum(), copy.checksum);
  to.set_uid(copy.uid);
  to.set_gid(copy.gid);
  to.set_mode(copy.mode);
}

void Decode(const pb::CommitCopyRequest& from, CommitCopyArguments& to, Validity& validity) {
  FinishedCopy copy;
  Decode(from.object(), copy.object, validity);
  copy.generation = from.generation();
  Decode(from.checksum(), copy.checksum, validity);
  copy.uid = from.uid();
  copy.gid = from.gid();
  copy.mode = from.mode();
  to = {ContextOf(from, validity), copy};
}

void Encode(pb::DropReplicaRequest& to, const CallContext& ctx, const ObjectRef& replica) {
  Encode(*to.mutable_context(), ctx);
  Encode(*to.mutable_object(), replica);
}

void Decode(const pb::DropReplicaRequest& from, DropReplicaArguments& to, Validity& validity) {
  ObjectRef replica;
  Decode(from.object(), replica, validity);
  to = {ContextOf(from, validity), replica};
}

void Encode(pb::EndMoveRequest& to, const CallContext& ctx, InodeId inode,
            uint64_t object_generation, bool moved) {
  Encode(*to.mutable_context(), ctx);
  to.set_inode(inode.value);
  to.set_object_generation(object_generation);
  to.set_moved(moved);
}

void Decode(const pb::EndMoveRequest& from, EndMoveArguments& to, Validity& validity) {
  to = {ContextOf(from, validity), InodeId(from.inode()), from.object_generation(), from.moved()};
}

void Encode(pb::ContentRequest& to, const CallContext& ctx, InodeId inode,
            const ContentState& content) {
  Encode(*to.mutable_context(), ctx);
  Encode(to, inode, content);
}

void Decode(const pb::ContentRequest& from, ContentArguments& to, Validity& validity) {
  ContentState content;
  Decode(from.content(), content, validity);
  to = {ContextOf(from, validity), InodeId(from.inode()), std::move(content)};
}

void Encode(pb::ContentRequest& to, InodeId inode, const ContentState& content) {
  to.set_inode(inode.value);
  Encode(*to.mutable_content(), content);
}

void Decode(const pb::ContentRequest& from, RecoveredArguments& to, Validity& validity) {
  ContentState content;
  Decode(from.content(), content, validity);
  to = {InodeId(from.inode()), std::move(content)};
}

void Encode(pb::ForgetRequest& to, SessionId session, std::span<const InodeId> inodes) {
  to.set_session(session.value);
  EncodeIds(*to.mutable_inodes(), inodes);
}

void Decode(const pb::ForgetRequest& from, ForgetArguments& to, Validity&) {
  std::get<0>(to) = SessionId(from.session());
  DecodeIds(from.inodes(), std::get<1>(to));
}

void Encode(pb::ReserveRequest& to, const CallContext& ctx, InodeId directory,
            std::span<const ReserveItem> items) {
  Encode(*to.mutable_context(), ctx);
  to.set_directory(directory.value);
  to.mutable_items()->Reserve(static_cast<int>(items.size()));
  for (const ReserveItem& item : items) {
    pb::ReserveRequest::Item& added = *to.add_items();
    added.set_path(item.path);
    added.set_size_bytes(item.size_bytes);
    added.set_volume(item.volume.value);
  }
}

void Decode(const pb::ReserveRequest& from, ReserveArguments& to, Validity& validity) {
  std::vector<ReserveItem> items;
  items.reserve(static_cast<size_t>(from.items_size()));
  for (const auto& item : from.items())
    items.push_back({item.path(), item.size_bytes(), VolumeId(item.volume())});
  to = {ContextOf(from, validity), InodeId(from.directory()), std::move(items)};
}

void Encode(pb::CreateDetachedRequest& to, const CallContext& ctx, uint32_t mode) {
  Encode(*to.mutable_context(), ctx);
  to.set_mode(mode);
}

void Decode(const pb::CreateDetachedRequest& from, Arguments<CallContext, uint32_t>& to,
            Validity& validity) {
  to = {ContextOf(from, validity), from.mode()};
}

void Encode(pb::AddTreeRequest& to, const CallContext& ctx, InodeId directory,
            std::span<const TreeNode> nodes, IfExists if_exists) {
  Encode(*to.mutable_context(), ctx);
  to.set_directory(directory.value);
  EncodeList(*to.mutable_nodes(), nodes);
  to.set_if_exists(static_cast<uint32_t>(if_exists));
}

void Decode(const pb::AddTreeRequest& from, AddTreeArguments& to, Validity& validity) {
  std::vector<TreeNode> nodes;
  DecodeList(from.nodes(), nodes, validity);
  to = {ContextOf(from, validity), InodeId(from.directory()), std::move(nodes),
        validity.ToEnum(from.if_exists(), IfExists::kReplace)};
}

void Encode(pb::AttachRequest& to, const CallContext& ctx, InodeId detached, InodeId parent,
            std::string_view name, std::span<const RecordWrite> records) {
  Encode(*to.mutable_context(), ctx);
  to.set_detached(detached.value);
  to.set_parent(parent.value);
  to.set_name(name.data(), name.size());
  EncodeList(*to.mutable_records(), records);
}

void Decode(const pb::AttachRequest& from, AttachArguments& to, Validity& validity) {
  std::vector<RecordWrite> records;
  DecodeList(from.records(), records, validity);
  to = {ContextOf(from, validity), InodeId(from.detached()), InodeId(from.parent()), from.name(),
        std::move(records)};
}

void Encode(pb::DiscardRequest& to, const CallContext& ctx, std::span<const InodeId> inodes) {
  Encode(*to.mutable_context(), ctx);
  EncodeIds(*to.mutable_inodes(), inodes);
}

void Decode(const pb::DiscardRequest& from, DiscardArguments& to, Validity& validity) {
  std::get<0>(to) = ContextOf(from, validity);
  DecodeIds(from.inodes(), std::get<1>(to));
}

void Encode(pb::WaitReclaimableRequest& to, uint32_t limit, std::chrono::milliseconds wait) {
  to.set_limit(limit);
  to.set_wait_ms(wait.count());
}

void Decode(const pb::WaitReclaimableRequest& from, WaitArguments& to, Validity& validity) {
  if (from.wait_ms() < 0) validity.Fail();
  to = {from.limit(), std::chrono::milliseconds(from.wait_ms())};
}

void Decode(const pb::ReclaimItems& from, Arguments<std::span<const ReclaimItem>>& to,
            Validity& validity) {
  Decode(from, std::get<0>(to), validity);
}

void Decode(const pb::VolumeInfo& from, Arguments<VolumeInfo>& to, Validity& validity) {
  Decode(from, std::get<0>(to), validity);
}

void Decode(const pb::VolumeReport& from, Arguments<VolumeReport>& to, Validity& validity) {
  Decode(from, std::get<0>(to), validity);
}

void Encode(pb::ListVolumeInodesRequest& to, VolumeId volume, InodeId after, uint32_t limit) {
  to.set_volume(volume.value);
  to.set_after(after.value);
  to.set_limit(limit);
}

void Decode(const pb::ListVolumeInodesRequest& from, VolumeInodesArguments& to, Validity&) {
  to = {VolumeId(from.volume()), InodeId(from.after()), from.limit()};
}

void Encode(pb::SetPolicyRequest& to, const CallContext& ctx, InodeId directory,
            const Policy& policy) {
  Encode(*to.mutable_context(), ctx);
  to.set_directory(directory.value);
  Encode(*to.mutable_policy(), policy);
}

void Decode(const pb::SetPolicyRequest& from, SetPolicyArguments& to, Validity& validity) {
  Policy policy;
  Decode(from.policy(), policy, validity);
  to = {ContextOf(from, validity), InodeId(from.directory()), std::move(policy)};
}

void Encode(pb::ScanRecordsRequest& to, std::string_view prefix, std::string_view after,
            uint32_t limit) {
  to.set_prefix(prefix.data(), prefix.size());
  to.set_after(after.data(), after.size());
  to.set_limit(limit);
}

void Decode(const pb::ScanRecordsRequest& from, ScanArguments& to, Validity&) {
  to = {from.prefix(), from.after(), from.limit()};
}

void Encode(pb::WriteRecordsRequest& to, std::span<const RecordWrite> writes, bool sync) {
  EncodeList(*to.mutable_writes(), writes);
  to.set_sync(sync);
}

void Decode(const pb::WriteRecordsRequest& from, WriteRecordsArguments& to, Validity& validity) {
  std::vector<RecordWrite> writes;
  DecodeList(from.writes(), writes, validity);
  to = {std::move(writes), from.sync()};
}

void Encode(pb::DumpRequest& to, const DumpTarget& target) {
  to.set_file(target.file);
  to.set_cluster_uuid(target.cluster_uuid);
  to.set_cluster_name(target.cluster_name);
}

void Decode(const pb::DumpRequest& from, DumpArguments& to, Validity&) {
  to = {DumpTarget{from.file(), from.cluster_uuid(), from.cluster_name()}};
}

}  // namespace pxfs::meta::remote
