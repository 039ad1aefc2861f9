// The job service over rpc: each handler decodes, calls, encodes. Who calls is what the connection
// says.
#include "jobs/rpc_methods.h"
#include "jobs/service.h"

namespace pxfs::jobs {
namespace {

Caller CallerOf(const rpc::Peer& peer) {
  return {peer.uid, peer.gid, {peer.groups.begin(), peer.groups.end()}};
}

// A handler from a function of the caller and the decoded request.
template <typename Request, typename Reply, typename Function>
rpc::Handler MakeHandler(Function function) {
  return [function](const rpc::Peer& peer, std::string_view bytes) -> Result<std::string> {
    Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return Fail(Code::kInvalid, "a request that cannot be read");
    }
    Result<Reply> reply = function(CallerOf(peer), request);
    if (!reply) return Fail(reply.error());
    return reply->SerializeAsString();
  };
}

Result<proto::Empty> Done(const Status& status) {
  if (!status) return Fail(status.error());
  return proto::Empty{};
}

}  // namespace

void RegisterJobService(rpc::Server& server, JobService& service) {
  const auto add = [&server](Method method, rpc::Handler handler) {
    server.Register(rpc::Service::kJobs, static_cast<uint16_t>(method), std::move(handler));
  };
  server.OnStop([&service] { service.EndWaits(); });
  add(Method::kSubmit, MakeHandler<proto::SubmitRequest, proto::SubmitReply>(
                           [&](const Caller& c, const auto& r) { return service.Submit(c, r); }));
  add(Method::kList, MakeHandler<proto::ListRequest, proto::ListReply>(
                         [&](const Caller& c, const auto& r) { return service.List(c, r); }));
  add(Method::kShow, MakeHandler<proto::JobRequest, proto::ShowReply>(
                         [&](const Caller& c, const auto& r) { return service.Show(c, r.id()); }));
  add(Method::kCancel,
      MakeHandler<proto::CancelRequest, proto::Empty>(
          [&](const Caller& c, const auto& r) { return Done(service.Cancel(c, r)); }));
  add(Method::kWait, MakeHandler<proto::WaitRequest, proto::WaitReply>(
                         [&](const Caller& c, const auto& r) { return service.Wait(c, r); }));
  add(Method::kHold, MakeHandler<proto::HoldRequest, proto::Empty>(
                         [&](const Caller& c, const auto& r) { return Done(service.Hold(c, r)); }));
  add(Method::kReadLog, MakeHandler<proto::LogRequest, proto::LogReply>(
                            [&](const Caller& c, const auto& r) { return service.ReadLog(c, r); }));
}

}  // namespace pxfs::jobs
