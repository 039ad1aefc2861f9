// The table of methods: which member of MetadataService, by which number and messages, and who may
// call it. Client and server are made from it.
#pragma once

#include <tuple>
#include <type_traits>

#include "meta/remote/codec.h"
#include "meta/service.h"
#include "rpc/metadata.pb.h"

namespace pxfs::meta::remote {

enum class Access {
  kAnybody,  // tells nothing about files
  kReader,   // anybody, with the peer's own credentials, on an inode that the peer can reach
  kTrusted,  // reads more than a user may see
  kChange,   // trusted peers; the server keeps the reply, so that a repetition gets it again
};

template <typename Member>
struct MemberTraits;
template <typename T, typename... A>
struct MemberTraits<Result<T> (MetadataService::*)(A...)> {
  // What is encoded as the reply; Status has nothing to say.
  using Value = std::conditional_t<std::is_void_v<T>, Nothing, T>;
  using Returned = Result<T>;
  using Stored = Arguments<A...>;
};

template <auto Member>
struct MemberKey {};

template <pb::Method Number, auto Member, typename RequestMessage, typename ReplyMessage,
          Access Who>
struct Method : MemberTraits<decltype(Member)> {
  using Key = MemberKey<Member>;
  using Request = RequestMessage;
  using Reply = ReplyMessage;
  static constexpr pb::Method kNumber = Number;
  static constexpr auto kMember = Member;
  static constexpr Access kAccess = Who;
};

using S = MetadataService;

// Sessions are not here: they hang on connections (sessions_client.h, sessions_server.h).
using Methods = std::tuple<
    Method<pb::METHOD_LOOKUP, &S::Lookup, pb::NameRequest, pb::Attr, Access::kReader>,
    Method<pb::METHOD_MAKE_NODE, &S::MakeNode, pb::MakeRequest, pb::Attr, Access::kChange>,
    Method<pb::METHOD_CREATE, &S::Create, pb::MakeRequest, pb::Location, Access::kChange>,
    Method<pb::METHOD_LINK, &S::Link, pb::LinkRequest, pb::Attr, Access::kChange>,
    Method<pb::METHOD_UNLINK, &S::Unlink, pb::NameRequest, pb::Removed, Access::kChange>,
    Method<pb::METHOD_REMOVE_DIRECTORY, &S::RemoveDirectory, pb::NameRequest, pb::Removed,
           Access::kChange>,
    Method<pb::METHOD_RENAME, &S::Rename, pb::RenameRequest, pb::Removed, Access::kChange>,
    Method<pb::METHOD_READ_DIRECTORY, &S::ReadDirectory, pb::ReadDirectoryRequest, pb::DirPage,
           Access::kReader>,
    Method<pb::METHOD_READ_LINK, &S::ReadLink, pb::InodeRequest, pb::Text, Access::kReader>,
    Method<pb::METHOD_RESOLVE, &S::Resolve, pb::ResolveRequest, pb::Attr, Access::kReader>,
    Method<pb::METHOD_PATH_OF, &S::PathOf, pb::InodeRequest, pb::Text, Access::kReader>,

    Method<pb::METHOD_GET_ATTR, &S::GetAttr, pb::InodeRequest, pb::Attr, Access::kReader>,
    Method<pb::METHOD_SET_ATTR, &S::SetAttr, pb::SetAttrRequest, pb::Attr, Access::kChange>,
    Method<pb::METHOD_GET_XATTR, &S::GetXattr, pb::XattrRequest, pb::Text, Access::kReader>,
    Method<pb::METHOD_SET_XATTR, &S::SetXattr, pb::XattrRequest, pb::Empty, Access::kChange>,
    Method<pb::METHOD_LIST_XATTRS, &S::ListXattrs, pb::InodeRequest, pb::Texts, Access::kReader>,
    Method<pb::METHOD_REMOVE_XATTR, &S::RemoveXattr, pb::XattrRequest, pb::Empty, Access::kChange>,

    Method<pb::METHOD_LOCATE, &S::Locate, pb::InodeRequest, pb::Location, Access::kReader>,
    Method<pb::METHOD_OPEN_FOR_WRITE, &S::OpenForWrite, pb::InodeOnVolumeRequest, pb::Location,
           Access::kChange>,
    Method<pb::METHOD_END_MOVE, &S::EndMove, pb::EndMoveRequest, pb::Location, Access::kChange>,
    Method<pb::METHOD_COMMIT_CONTENT, &S::CommitContent, pb::ContentRequest, pb::Empty,
           Access::kChange>,
    Method<pb::METHOD_CLOSE_WRITE, &S::CloseWrite, pb::ContentRequest, pb::Empty, Access::kChange>,
    Method<pb::METHOD_FORGET, &S::Forget, pb::ForgetRequest, pb::Empty, Access::kChange>,
    Method<pb::METHOD_SYNC, &S::Sync, pb::Empty, pb::Empty, Access::kChange>,
    Method<pb::METHOD_GET_STAT_FS, &S::GetStatFs, pb::Empty, pb::StatFs, Access::kAnybody>,
    Method<pb::METHOD_FILES_TO_RECOVER, &S::FilesToRecover, pb::Empty, pb::Locations,
           Access::kTrusted>,
    Method<pb::METHOD_COMMIT_RECOVERED, &S::CommitRecovered, pb::ContentRequest, pb::Empty,
           Access::kChange>,

    Method<pb::METHOD_BEGIN_COPY, &S::BeginCopy, pb::InodeOnVolumeRequest, pb::CopyTicket,
           Access::kChange>,
    Method<pb::METHOD_COMMIT_COPY, &S::CommitCopy, pb::CommitCopyRequest, pb::Empty,
           Access::kChange>,
    Method<pb::METHOD_DROP_REPLICA, &S::DropReplica, pb::DropReplicaRequest, pb::Empty,
           Access::kChange>,
    Method<pb::METHOD_SET_COPY_WISHES, &S::SetCopyWishes, pb::SetCopyWishesRequest, pb::Empty,
           Access::kChange>,
    Method<pb::METHOD_REPORT_SCRUB, &S::ReportScrub, pb::ScrubFinding, pb::Empty, Access::kChange>,
    Method<pb::METHOD_GET_COPY_CENSUS, &S::GetCopyCensus, pb::Empty, pb::CopyCensus,
           Access::kAnybody>,

    Method<pb::METHOD_RESERVE, &S::Reserve, pb::ReserveRequest, pb::ReservedObjects,
           Access::kChange>,
    Method<pb::METHOD_CREATE_DETACHED, &S::CreateDetached, pb::CreateDetachedRequest, pb::Inodes,
           Access::kChange>,
    Method<pb::METHOD_ADD_TREE, &S::AddTree, pb::AddTreeRequest, pb::Empty, Access::kChange>,
    Method<pb::METHOD_ATTACH, &S::Attach, pb::AttachRequest, pb::Empty, Access::kChange>,
    Method<pb::METHOD_DISCARD, &S::Discard, pb::DiscardRequest, pb::Empty, Access::kChange>,

    Method<pb::METHOD_WAIT_RECLAIMABLE, &S::WaitReclaimable, pb::WaitReclaimableRequest,
           pb::ReclaimItems, Access::kTrusted>,
    Method<pb::METHOD_RECLAIMED, &S::Reclaimed, pb::ReclaimItems, pb::Empty, Access::kChange>,

    Method<pb::METHOD_ADD_VOLUME, &S::AddVolume, pb::VolumeInfo, pb::VolumeInfo, Access::kChange>,
    Method<pb::METHOD_LIST_VOLUMES, &S::ListVolumes, pb::Empty, pb::VolumeInfos, Access::kAnybody>,
    Method<pb::METHOD_UPDATE_VOLUME, &S::UpdateVolume, pb::VolumeInfo, pb::Empty, Access::kChange>,
    Method<pb::METHOD_REMOVE_VOLUME, &S::RemoveVolume, pb::RemoveVolumeRequest, pb::Empty,
           Access::kChange>,
    Method<pb::METHOD_REPORT_VOLUME, &S::ReportVolume, pb::VolumeReport, pb::Empty,
           Access::kChange>,
    Method<pb::METHOD_LIST_VOLUME_INODES, &S::ListVolumeInodes, pb::ListVolumeInodesRequest,
           pb::Inodes, Access::kTrusted>,
    Method<pb::METHOD_GET_POLICY, &S::GetPolicy, pb::InodeRequest, pb::PolicyView, Access::kReader>,
    Method<pb::METHOD_SET_POLICY, &S::SetPolicy, pb::SetPolicyRequest, pb::Empty, Access::kChange>,

    Method<pb::METHOD_SCAN_RECORDS, &S::ScanRecords, pb::ScanRecordsRequest, pb::Records,
           Access::kTrusted>,
    Method<pb::METHOD_WRITE_RECORDS, &S::WriteRecords, pb::WriteRecordsRequest, pb::Empty,
           Access::kChange>,
    Method<pb::METHOD_GET_STATISTICS, &S::GetStatistics, pb::Empty, pb::Statistics,
           Access::kAnybody>,
    Method<pb::METHOD_DUMP, &S::Dump, pb::DumpRequest, pb::Empty, Access::kTrusted>>;

// MethodOf<&MetadataService::Lookup>: its line of the table.
template <auto Member, typename Table = Methods>
struct FindMethod;
template <auto Member, typename First, typename... Rest>
struct FindMethod<Member, std::tuple<First, Rest...>>
    : std::conditional_t<std::is_same_v<MemberKey<Member>, typename First::Key>,
                         std::type_identity<First>, FindMethod<Member, std::tuple<Rest...>>> {};
template <auto Member>
using MethodOf = typename FindMethod<Member>::type;

}  // namespace pxfs::meta::remote
