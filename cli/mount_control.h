// What is said to the supervisor of a mount over its socket (MountControlPath): one request and one
// reply, each a JSON document in one line (docs/formats.md).
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace pxfs::cli {

// Replaces the daemon of the mount, and then its supervisor, by `program` (absolute; empty: what is
// now at the path from which the mount was made).
struct UpgradeRequest {
  std::string program;
};

struct UpgradeReply {
  std::string problem;      // empty: done
  std::string old_version;  // of the program that ran
  std::string new_version;  // of the program that was to replace it; empty: it did not even say
  double stall_ms = 0;      // how long no request was answered; 0: the old daemon went on
};

// Asks, and waits for the answer. kUnavailable: no supervisor listens, or it ended. kNotSupported:
// it speaks another version.
Result<UpgradeReply> AskForUpgrade(const std::string& socket_path, const UpgradeRequest& request,
                                   std::chrono::seconds limit);

// The supervisor's side, on a connection that it has accepted. Waits at most a second for the
// request. kAccess: neither root nor the supervisor's own user; kInvalid, kNotSupported.
Result<UpgradeRequest> ReceiveUpgradeRequest(int connection);
Status SendUpgradeReply(int connection, const UpgradeReply& reply);

}  // namespace pxfs::cli
