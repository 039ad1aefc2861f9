// The client: a stack of idle connections. A call takes the one used last, or makes a new one.

#include <sys/random.h>
#include <sys/socket.h>

#include <atomic>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "rpc/client.h"
#include "rpc/frame_stream.h"
#include "rpc/unix_socket.h"

namespace pxfs::rpc {
namespace {

constexpr size_t kMaxIdle = 32;

class UnixClient : public Client {
 public:
  UnixClient(std::string path, uint64_t id) : path_(std::move(path)), id_(id) {}

  Result<std::string> Call(Service service, uint16_t method, std::string_view request,
                           Outcome* outcome, uint64_t number) override;
  uint64_t NewNumber() override { return next_number_.fetch_add(1, std::memory_order_relaxed); }
  void Close() override;

  using Connection = std::unique_ptr<FrameStream>;
  Result<Connection> Connect();
  // Into the stack of idle ones.
  void Keep(Connection connection);

 private:
  // A connection on which the request has been sent.
  Result<Connection> Send(const FrameHeader& header, std::string_view request);
  Result<Connection> TakeIdle();
  void Release(const Connection& connection);

  const std::string path_;
  const uint64_t id_;
  std::atomic<uint64_t> next_number_ = 1;

  std::mutex mutex_;  // guards what follows
  std::vector<Connection> idle_;
  std::unordered_set<FrameStream*> busy_;
  bool closed_ = false;
};

Error HelloError(const std::string& path, const Hello& hello) {
  if (hello.version != kProtocolVersion)
    return Error(Code::kNotSupported,
                 path + ": the server speaks version " + std::to_string(hello.version) +
                     " of the protocol, this program " + std::to_string(kProtocolVersion) +
                     "; use the same pxfs for both");
  const Code code = CodeOf(hello.status);
  if (code == Code::kTooManyOpen) return Error(code, path + ": too many connections of this user");
  return Error(code, path + ": the server refuses the connection");
}

Result<UnixClient::Connection> UnixClient::Connect() {
  PXFS_ASSIGN(UniqueFd socket, ConnectUnixSocket(path_));
  auto stream = std::make_unique<FrameStream>(std::move(socket));
  Hello hello;
  hello.client = id_;
  Status sent = stream->SendHello(hello);
  if (!sent) return Fail(sent.error().WithContext(path_));
  const auto answer = stream->ReceiveHello();
  if (!answer) return Fail(answer.error().WithContext(path_));
  if (answer->version != kProtocolVersion || answer->status != 0)
    return Fail(HelloError(path_, *answer));
  return stream;
}

// Null: there is none.
Result<UnixClient::Connection> UnixClient::TakeIdle() {
  std::lock_guard lock(mutex_);
  if (closed_) return Fail(Code::kUnavailable, path_ + ": the client is closed");
  if (idle_.empty()) return Connection();
  Connection connection = std::move(idle_.back());
  idle_.pop_back();
  busy_.insert(connection.get());
  return connection;
}

void UnixClient::Keep(Connection connection) {
  std::lock_guard lock(mutex_);
  busy_.erase(connection.get());
  if (!closed_ && idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
}

void UnixClient::Release(const Connection& connection) {
  std::lock_guard lock(mutex_);
  busy_.erase(connection.get());
}

Result<UnixClient::Connection> UnixClient::Send(const FrameHeader& header,
                                                std::string_view request) {
  for (;;) {
    PXFS_ASSIGN(Connection connection, TakeIdle());
    const bool reused = connection != nullptr;
    if (!reused) {
      PXFS_ASSIGN(connection, Connect());
      std::lock_guard lock(mutex_);
      if (closed_) return Fail(Code::kUnavailable, path_ + ": the client is closed");
      busy_.insert(connection.get());
    }
    const Status sent = connection->Send(header, {}, request);
    if (sent) return connection;
    if (sent.error() == Code::kTooBig) {
      Keep(std::move(connection));
      return Fail(sent.error());
    }
    Release(connection);
    // An idle connection may have died with an earlier server; a new one tells how things are now.
    if (!reused) return Fail(sent.error().WithContext(path_));
  }
}

Result<std::string> UnixClient::Call(Service service, uint16_t method, std::string_view request,
                                     Outcome* outcome, uint64_t number) {
  Outcome ignored;
  Outcome& reached = outcome ? *outcome : ignored;
  reached = Outcome::kNotSent;
  FrameHeader header;
  header.service = static_cast<uint16_t>(service);
  header.method = method;
  header.request = number ? number : NewNumber();
  PXFS_ASSIGN(Connection connection, Send(header, request));

  reached = Outcome::kUnknown;
  const auto frame = connection->Receive(FrameKind::kReply, kMaxBodyBytes);
  Status valid;
  if (!frame) {
    valid = Fail(frame.error());
  } else if (!*frame) {
    valid = Fail(Code::kUnavailable, "the server closed the connection");
  } else if ((*frame)->header.request != header.request) {
    valid = Fail(Code::kCorruption, "the reply answers another request");
  }
  if (!valid) {
    Release(connection);
    return Fail(valid.error().WithContext(path_));
  }

  reached = Outcome::kAnswered;
  const Frame& reply = **frame;
  Result<std::string> result;
  if (reply.header.status == 0) {
    result.emplace(reply.payload);
  } else {
    result = Fail(CodeOf(reply.header.status), std::string(reply.message));
  }
  Keep(std::move(connection));
  return result;
}

void UnixClient::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  idle_.clear();
  for (FrameStream* stream : busy_) stream->Shutdown(SHUT_RDWR);
}

}  // namespace

Result<std::unique_ptr<Client>> ConnectUnix(const std::string& path) {
  uint64_t id = 0;
  if (::getrandom(&id, sizeof id, 0) != sizeof id) return FailErrno(errno, "getrandom");
  auto client = std::make_unique<UnixClient>(path, id);
  PXFS_ASSIGN(auto connection, client->Connect());
  client->Keep(std::move(connection));
  return std::unique_ptr<Client>(std::move(client));
}

}  // namespace pxfs::rpc
