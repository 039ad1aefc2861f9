// Handlers for the table of methods.
#include "rpc/server.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "meta/remote/access.h"
#include "meta/remote/message.h"
#include "meta/remote/methods.h"
#include "meta/remote/reply_cache.h"
#include "meta/remote/sessions_server.h"
#include "meta/remote_service.h"

namespace pxfs::meta {
namespace {

using namespace remote;  // NOLINT(google-build-using-namespace): all of this file is about it

// A handler does not block much longer than this, so that a server can stop; the client asks again.
constexpr std::chrono::milliseconds kMaxWait{500};

struct State {
  State(MetadataService& s, const ServeOptions& options)
      : service(s), sessions(s, options.session_grace) {}

  MetadataService& service;
  SessionsServer sessions;
  ReplyCache replies;
};

template <typename Method>
Result<std::string> Answer(State& state, const rpc::Peer& peer, std::string_view bytes) {
  OnArena<typename Method::Request> request;
  PXFS_TRY(request.Parse(bytes));
  typename Method::Stored arguments;
  Validity validity;
  Decode(*request, arguments, validity);
  if (!validity) return Fail(Code::kCorruption, "a request that makes no sense");
  if constexpr (Method::kAccess == Access::kReader)
    if (!peer.trusted()) PXFS_TRY(Restrict(state.service, peer, arguments));
  if constexpr (Method::kNumber == pb::METHOD_WAIT_RECLAIMABLE)
    std::get<1>(arguments) = std::min(std::get<1>(arguments), kMaxWait);

  const auto result = std::apply(
      [&](const auto&... argument) ->
      typename Method::Returned { return (state.service.*Method::kMember)(argument...); },
      arguments);
  if (!result) return Fail(result.error());
  OnArena<typename Method::Reply> reply;
  if constexpr (!std::is_void_v<typename Method::Returned::value_type>) Encode(*reply, *result);
  return reply.Serialize();
}

using Run = Result<std::string> (*)(State&, const rpc::Peer&, std::string_view);

void Add(rpc::Server& server, const std::shared_ptr<State>& state, pb::Method number, Access access,
         Run run) {
  auto handler = [state, access, run](const rpc::Peer& peer,
                                      std::string_view request) -> Result<std::string> {
    PXFS_TRY(CheckAccess(access, peer));
    if (access != Access::kChange) return run(*state, peer, request);
    return state->replies.Run(peer, [&] { return run(*state, peer, request); });
  };
  server.Register(rpc::Service::kMetadata, static_cast<uint16_t>(number), std::move(handler));
}

template <typename... Method>
void AddAll(rpc::Server& server, const std::shared_ptr<State>& state, std::tuple<Method...>*) {
  (Add(server, state, Method::kNumber, Method::kAccess, &Answer<Method>), ...);
}

Result<std::string> Describe(State&, const rpc::Peer& peer, std::string_view) {
  OnArena<pb::DescribeReply> reply;
  reply->set_trusted(peer.trusted());
  return reply.Serialize();
}

Result<std::string> OpenSession(State& state, const rpc::Peer& peer, std::string_view request) {
  return state.sessions.Open(peer, request);
}

Result<std::string> CloseSession(State& state, const rpc::Peer& peer, std::string_view request) {
  return state.sessions.Close(peer, request);
}

Result<std::string> Watch(State& state, const rpc::Peer& peer, std::string_view request) {
  return state.sessions.Watch(peer, request);
}

}  // namespace

void RegisterMetadataService(rpc::Server& server, MetadataService& service,
                             const ServeOptions& options) {
  const auto state = std::make_shared<State>(service, options);
  Add(server, state, pb::METHOD_DESCRIBE, Access::kAnybody, &Describe);
  Add(server, state, pb::METHOD_OPEN_SESSION, Access::kChange, &OpenSession);
  Add(server, state, pb::METHOD_CLOSE_SESSION, Access::kChange, &CloseSession);
  Add(server, state, pb::METHOD_WATCH, Access::kTrusted, &Watch);
  AddAll(server, state, static_cast<Methods*>(nullptr));
  server.OnStop([state] { state->sessions.Stop(); });
  server.OnDisconnect([state](const rpc::Peer& peer) {
    state->sessions.Disconnected(peer);
    state->replies.Disconnected(peer);
  });
}

}  // namespace pxfs::meta
