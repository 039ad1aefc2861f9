// What is said to the supervisor of a mount over its socket (MountControlPath): one request and one
// reply, each a JSON document in one line (docs/formats.md).
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace pxfs::cli {

struct MountOrder {
  enum class Kind { kUpgrade, kUsage };
  Kind kind = Kind::kUpgrade;
  // kUpgrade: what replaces the daemon of the mount, and then its supervisor (absolute; empty: what
  // is now at the path from which the mount was made).
  std::string program = {};
};

struct UpgradeReply {
  std::string problem;      // empty: done
  std::string old_version;  // of the program that ran
  std::string new_version;  // of the program that was to replace it; empty: it did not even say
  double stall_ms = 0;      // how long no request was answered; 0: the old daemon went on
};

// What a mount uses of what it may use at most.
struct MountUsage {
  struct Share {
    uint64_t used = 0, most = 0;
  };
  Share open;          // inodes that programs have open
  Share idle;          // those that are kept for a next open
  Share descriptors;   // of objects, of the daemon itself
  Share buffer_bytes;  // that the daemon reads objects into
};

// Ask, and wait for the answer. kUnavailable: no supervisor listens, or it ended. kNotSupported: it
// speaks another version. kAccess.
Result<UpgradeReply> AskForUpgrade(const std::string& socket_path, const std::string& program,
                                   std::chrono::seconds limit);
Result<MountUsage> AskForUsage(const std::string& socket_path, std::chrono::seconds limit);

// The supervisor's side, on a connection that it has accepted. Waits at most a second for the
// request. kAccess: neither root nor the supervisor's own user; kInvalid, kNotSupported.
Result<MountOrder> ReceiveOrder(int connection);
Status SendUpgradeReply(int connection, const UpgradeReply& reply);
Status SendUsage(int connection, const MountUsage& usage);

}  // namespace pxfs::cli
