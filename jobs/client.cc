#include "jobs/client.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/cluster_directory.h"
#include "jobs/rpc_methods.h"

namespace pxfs::jobs {
namespace {

using Clock = std::chrono::steady_clock;

// Jobs outlive a process that serves them and is killed, so those who ask after them wait for its
// successor.
constexpr std::chrono::seconds kPatience{30};
// The same for a first connection, where nothing but the socket that it left tells of the process
// that was killed. One that ends by itself takes its socket away.
constexpr std::chrono::seconds kConnectPatience{10};
constexpr std::chrono::milliseconds kBetweenCalls{50};

enum class Repeat {
  kAlways,  // running it twice is as good as once
  kIfNotBegun,
};

template <typename Reply, typename Request>
Result<Reply> Call(rpc::Client& rpc, Method method, const Request& request,
                   Repeat repeat = Repeat::kAlways) {
  const std::string sent = request.SerializeAsString();
  const auto deadline = Clock::now() + kPatience;
  Result<std::string> answer = Fail(Code::kUnavailable);
  while (true) {
    auto outcome = rpc::Outcome::kNotSent;
    answer = rpc.Call(rpc::Service::kJobs, static_cast<uint16_t>(method), sent, &outcome);
    const bool may_repeat = outcome == rpc::Outcome::kNotSent ||
                            (outcome == rpc::Outcome::kUnknown && repeat == Repeat::kAlways);
    if (answer || !may_repeat || !(answer.error() == Code::kUnavailable) ||
        Clock::now() >= deadline) {
      break;
    }
    // Nothing tells when somebody listens again.
    std::this_thread::sleep_for(kBetweenCalls);
  }
  PXFS_ASSIGN(const std::string bytes, std::move(answer));
  Reply reply;
  if (!reply.ParseFromString(bytes)) {
    return Fail(Code::kCorruption, "the job service answers with something that cannot be read");
  }
  return reply;
}

Status Drop(const Result<proto::Empty>& reply) {
  if (!reply) return Fail(reply.error());
  return {};
}

}  // namespace

Result<Client> Client::Connect(const std::string& cluster_directory) {
  PXFS_ASSIGN(const ClusterIdentity identity, ReadIdentity(cluster_directory));
  const std::string path = identity.socket_path();
  const auto deadline = Clock::now() + kConnectPatience;
  auto rpc = rpc::ConnectUnix(path);
  while (!rpc && rpc.error() == Code::kUnavailable && ::access(path.c_str(), F_OK) == 0 &&
         Clock::now() < deadline) {
    std::this_thread::sleep_for(kBetweenCalls);
    rpc = rpc::ConnectUnix(path);
  }
  if (!rpc && rpc.error() == Code::kUnavailable) {
    return Fail(Code::kUnavailable, "nobody serves the cluster " + identity.directory +
                                        ": mount it (mount -t pxfs " + identity.directory +
                                        " MOUNTPOINT) or start pxfsd");
  }
  if (!rpc) return Fail(rpc.error());
  return Client(std::move(*rpc));
}

Result<proto::SubmitReply> Client::Submit(const proto::SubmitRequest& request) {
  return Call<proto::SubmitReply>(*rpc_, Method::kSubmit, request, Repeat::kIfNotBegun);
}

Result<proto::ListReply> Client::List(const proto::ListRequest& request) {
  return Call<proto::ListReply>(*rpc_, Method::kList, request);
}

Result<proto::ShowReply> Client::Show(uint64_t id) {
  proto::JobRequest request;
  request.set_id(id);
  return Call<proto::ShowReply>(*rpc_, Method::kShow, request);
}

Status Client::Cancel(const proto::CancelRequest& request) {
  return Drop(Call<proto::Empty>(*rpc_, Method::kCancel, request));
}

Result<proto::WaitReply> Client::Wait(const proto::WaitRequest& request) {
  return Call<proto::WaitReply>(*rpc_, Method::kWait, request);
}

Status Client::Hold(const proto::HoldRequest& request) {
  return Drop(Call<proto::Empty>(*rpc_, Method::kHold, request));
}

Result<proto::LogReply> Client::ReadLog(const proto::LogRequest& request) {
  return Call<proto::LogReply>(*rpc_, Method::kReadLog, request);
}

}  // namespace pxfs::jobs
