// Calls that outlive a broken connection and a restart of the server.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meta/remote/codec.h"
#include "rpc/client.h"

namespace pxfs::meta::remote {

// Thread-safe.
class Caller {
 public:
  // kUnavailable, and what rpc::ConnectUnix says.
  static Result<std::unique_ptr<Caller>> Connect(const std::string& path,
                                                 std::chrono::milliseconds retry);
  Caller(std::string path, std::unique_ptr<rpc::Client> client, std::chrono::milliseconds retry)
      : path_(std::move(path)), retry_(retry), client_(std::move(client)) {}

  // Repeats the call under the same number while the connection fails, for up to `retry`; then
  // kUnavailable.
  Result<std::string> Call(pb::Method method, std::string_view request);
  // The same, once. *answered: whether the server has, be it with an error.
  Result<std::string> CallOnce(pb::Method method, std::string_view request, bool* answered);
  // Waits a while before a further attempt, longer each time. False: closed, or `until` has come.
  bool Pause(int attempt, std::chrono::steady_clock::time_point until);
  // Ends calls and pauses.
  void Close();
  bool closed() const;

 private:
  const std::string path_;
  const std::chrono::milliseconds retry_;
  const std::unique_ptr<rpc::Client> client_;
  mutable std::mutex mutex_;  // guards closed_
  std::condition_variable closing_;
  bool closed_ = false;
};

}  // namespace pxfs::meta::remote
