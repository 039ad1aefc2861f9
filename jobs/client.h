// The job service of another process, over its socket.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "rpc/client.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

// Thread-safe. Errors are the service's own, or kUnavailable: the connection is lost, and half a
// minute later still nobody serves the cluster. Calls are repeated until then, but for a submission
// that may have been taken.
class Client {
 public:
  // kUnavailable says how to have the cluster served; kNotFound: no such cluster.
  static Result<Client> Connect(const std::string& cluster_directory);

  Result<proto::SubmitReply> Submit(const proto::SubmitRequest& request);
  Result<proto::ListReply> List(const proto::ListRequest& request);
  Result<proto::ShowReply> Show(uint64_t id);
  Status Cancel(const proto::CancelRequest& request);
  Result<proto::WaitReply> Wait(const proto::WaitRequest& request);
  Status Hold(const proto::HoldRequest& request);
  Result<proto::LogReply> ReadLog(const proto::LogRequest& request);

 private:
  explicit Client(std::unique_ptr<rpc::Client> rpc) : rpc_(std::move(rpc)) {}

  std::unique_ptr<rpc::Client> rpc_;
};

}  // namespace pxfs::jobs
