#include "cli/mount_control.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "rpc/unix_socket.h"

namespace pxfs::cli {
namespace {

constexpr int kVersion = 1;
constexpr size_t kMaxLine = 65536;

Status SetPatience(int socket, std::chrono::seconds time) {
  const timeval patience{time.count(), 0};
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    if (::setsockopt(socket, SOL_SOCKET, option, &patience, sizeof patience) != 0)
      return FailErrno(errno, "setsockopt");
  return {};
}

Status SendLine(int socket, const nlohmann::json& json) {
  const std::string line =
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t n = ::send(socket, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "send");
    sent += static_cast<size_t>(n);
  }
  return {};
}

// kUnavailable: the other side has ended.
Result<nlohmann::json> ReceiveLine(int socket) {
  std::string line;
  for (char c; line.size() < kMaxLine;) {
    const ssize_t n = ::recv(socket, &c, 1, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return Fail(Code::kTimeout, "no answer");
    if (n < 0) return FailErrno(errno, "receive");
    if (n == 0) return Fail(Code::kUnavailable, "the other side has ended");
    if (c == '\n') break;
    line += c;
  }
  auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Fail(Code::kInvalid, "what the other side says makes no sense");
  return json;
}

// The member as a string; empty where it is none.
std::string Text(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<UpgradeReply> AskForUpgrade(const std::string& socket_path, const UpgradeRequest& request,
                                   std::chrono::seconds limit) {
  PXFS_ASSIGN(const UniqueFd socket, rpc::ConnectUnixSocket(socket_path));
  PXFS_TRY(SetPatience(socket.get(), limit));
  PXFS_TRY(SendLine(socket.get(),
                    {{"version", kVersion}, {"order", "upgrade"}, {"program", request.program}}));
  PXFS_ASSIGN(const nlohmann::json json, ReceiveLine(socket.get()));
  UpgradeReply reply;
  reply.problem = Text(json, "problem");
  reply.old_version = Text(json, "old_version");
  reply.new_version = Text(json, "new_version");
  const auto stall = json.find("stall_ms");
  if (stall != json.end() && stall->is_number()) reply.stall_ms = stall->get<double>();
  return reply;
}

Result<UpgradeRequest> ReceiveUpgradeRequest(int connection) {
  PXFS_TRY(SetPatience(connection, std::chrono::seconds(1)));
  PXFS_ASSIGN(const rpc::Credentials peer, rpc::PeerCredentials(connection));
  if (peer.uid != 0 && peer.uid != ::geteuid())
    return Fail(Code::kAccess, "only root and the mount's own user may give it orders");
  PXFS_ASSIGN(const nlohmann::json json, ReceiveLine(connection));
  const auto version = json.find("version");
  if (version == json.end() || *version != kVersion || Text(json, "order") != "upgrade")
    return Fail(Code::kNotSupported, "the running mount does not know this order");
  return UpgradeRequest{Text(json, "program")};
}

Status SendUpgradeReply(int connection, const UpgradeReply& reply) {
  return SendLine(connection, {{"problem", reply.problem},
                               {"old_version", reply.old_version},
                               {"new_version", reply.new_version},
                               {"stall_ms", reply.stall_ms}});
}

}  // namespace pxfs::cli
