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
constexpr char kUpgradeOrder[] = "upgrade", kUsageOrder[] = "usage";
constexpr std::pair<const char*, MountUsage::Share MountUsage::*> kShares[] = {
    {"open", &MountUsage::open},
    {"idle", &MountUsage::idle},
    {"descriptors", &MountUsage::descriptors},
    {"buffer_bytes", &MountUsage::buffer_bytes}};

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

// Sends the order and returns the answer.
Result<nlohmann::json> Ask(const std::string& socket_path, nlohmann::json order,
                           std::chrono::seconds limit) {
  PXFS_ASSIGN(const UniqueFd socket, rpc::ConnectUnixSocket(socket_path));
  PXFS_TRY(SetPatience(socket.get(), limit));
  order["version"] = kVersion;
  PXFS_TRY(SendLine(socket.get(), order));
  return ReceiveLine(socket.get());
}

uint64_t Number(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

// The member as a string; empty where it is none.
std::string Text(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<UpgradeReply> AskForUpgrade(const std::string& socket_path, const std::string& program,
                                   std::chrono::seconds limit) {
  PXFS_ASSIGN(const nlohmann::json json,
              Ask(socket_path, {{"order", kUpgradeOrder}, {"program", program}}, limit));
  UpgradeReply reply;
  reply.problem = Text(json, "problem");
  reply.old_version = Text(json, "old_version");
  reply.new_version = Text(json, "new_version");
  const auto stall = json.find("stall_ms");
  if (stall != json.end() && stall->is_number()) reply.stall_ms = stall->get<double>();
  return reply;
}

Result<MountUsage> AskForUsage(const std::string& socket_path, std::chrono::seconds limit) {
  PXFS_ASSIGN(const nlohmann::json json, Ask(socket_path, {{"order", kUsageOrder}}, limit));
  if (const std::string problem = Text(json, "problem"); !problem.empty())
    return Fail(Code::kNotSupported, problem);
  MountUsage usage;
  for (const auto& [name, share] : kShares) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_object()) continue;
    (usage.*share).used = Number(*found, "used");
    (usage.*share).most = Number(*found, "max");
  }
  return usage;
}

Result<MountOrder> ReceiveOrder(int connection) {
  PXFS_TRY(SetPatience(connection, std::chrono::seconds(1)));
  PXFS_ASSIGN(const rpc::Credentials peer, rpc::PeerCredentials(connection));
  if (peer.uid != 0 && peer.uid != ::geteuid())
    return Fail(Code::kAccess, "only root and the mount's own user may give it orders");
  PXFS_ASSIGN(const nlohmann::json json, ReceiveLine(connection));
  const auto version = json.find("version");
  const std::string order = Text(json, "order");
  if (version == json.end() || *version != kVersion ||
      (order != kUpgradeOrder && order != kUsageOrder))
    return Fail(Code::kNotSupported, "the running mount does not know this order");
  return MountOrder{order == kUpgradeOrder ? MountOrder::Kind::kUpgrade : MountOrder::Kind::kUsage,
                    Text(json, "program")};
}

Status SendUsage(int connection, const MountUsage& usage) {
  nlohmann::json json;
  for (const auto& [name, share] : kShares)
    json[name] = {{"used", (usage.*share).used}, {"max", (usage.*share).most}};
  return SendLine(connection, json);
}

Status SendUpgradeReply(int connection, const UpgradeReply& reply) {
  return SendLine(connection, {{"problem", reply.problem},
                               {"old_version", reply.old_version},
                               {"new_version", reply.new_version},
                               {"stall_ms", reply.stall_ms}});
}

}  // namespace pxfs::cli
