// The server: an accepting thread, and a thread for each connection.
//
// A connection is in connections_ from its acceptance until its thread is about to end; its thread
// object then moves to ended_, which the accepting thread and Stop join.

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/descriptor_limit.h"
#include "base/logging.h"
#include "rpc/frame_stream.h"
#include "rpc/handler_table.h"
#include "rpc/server.h"
#include "rpc/unix_socket.h"

namespace pxfs::rpc {

bool Peer::trusted() const { return uid == 0 || uid == ::geteuid(); }

namespace {

// Anybody may connect, but one user not without end: each connection costs a thread.
constexpr size_t kMaxConnectionsPerUser = 128;
// All together, where there are descriptors enough.
constexpr size_t kMaxConnections = 8192;
// A peer that neither says hello nor takes its reply for this long is dropped.
constexpr timeval kPatience{30, 0};
// Until an accept that failed for want of descriptors or memory is tried again.
constexpr std::chrono::milliseconds kAcceptPause{100};

class UnixServer : public Server {
 public:
  explicit UnixServer(UnixListener listener) : listener_(std::move(listener)) {}
  ~UnixServer() override { UnixServer::Stop(); }

  void Register(Service service, uint16_t method, Handler handler) override {
    handlers_.Add(service, method, std::move(handler));
  }
  void OnDisconnect(std::function<void(const Peer&)> callback) override {
    on_disconnect_.push_back(std::move(callback));
  }
  void OnStop(std::function<void()> callback) override { on_stop_.push_back(std::move(callback)); }

  Status Start() override;
  void StopListening() override;
  Status ListenAgain() override;
  void Stop() override;
  size_t connections() const override {
    std::lock_guard lock(mutex_);
    return connections_.size();
  }

 private:
  struct Connection {
    explicit Connection(UniqueFd socket) : stream(std::move(socket)) {}
    FrameStream stream;
    Peer peer;
    std::thread thread;
  };
  using Connections = std::list<Connection>;

  void AcceptLoop();
  void Adopt(UniqueFd socket);
  // The status for the server's hello: 0, or why this peer is refused.
  uint16_t Admit(const Peer& peer) const;
  void Serve(Connections::iterator connection);
  Status Greet(Connection& connection);
  Status Answer(Connection& connection);
  void JoinEnded();

  HandlerTable handlers_;
  std::vector<std::function<void(const Peer&)>> on_disconnect_;
  std::vector<std::function<void()>> on_stop_;

  std::mutex lifecycle_;  // one StopListening or Stop at a time; taken before mutex_
  UnixListener listener_;
  std::thread acceptor_;
  bool stopped_ = false;  // guarded by lifecycle_
  std::atomic<bool> listening_ = false, stopping_ = false;

  const size_t max_connections_ = std::min(kMaxConnections, ConnectionDescriptors());
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Connections connections_, ended_;
  uint64_t next_connection_ = 1;
};

Status UnixServer::Start() {
  std::lock_guard lock(lifecycle_);
  listening_ = true;
  acceptor_ = std::thread([this] { AcceptLoop(); });
  return {};
}

void UnixServer::StopListening() {
  std::lock_guard lock(lifecycle_);
  if (!listener_.socket) return;
  RemoveSocketFile(listener_);
  listening_ = false;
  ::shutdown(listener_.socket.get(), SHUT_RDWR);  // wakes accept
  changed_.notify_all();
  if (acceptor_.joinable()) acceptor_.join();
  listener_.socket.reset();
}

Status UnixServer::ListenAgain() {
  std::lock_guard lock(lifecycle_);
  if (stopped_) return Fail(Code::kInvalid, "the server has ended");
  if (listener_.socket) return {};
  PXFS_ASSIGN(listener_, ListenUnixSocket(listener_.path));
  listening_ = true;
  acceptor_ = std::thread([this] { AcceptLoop(); });
  return {};
}

void UnixServer::Stop() {
  StopListening();
  std::lock_guard lifecycle(lifecycle_);
  if (stopped_) return;
  stopped_ = true;
  stopping_ = true;
  for (const auto& callback : on_stop_) callback();
  {
    std::unique_lock lock(mutex_);
    // Half of it: a handler that runs can still send its reply.
    for (Connection& connection : connections_) connection.stream.Shutdown(SHUT_RD);
    changed_.wait(lock, [this] { return connections_.empty(); });
  }
  JoinEnded();
}

void UnixServer::AcceptLoop() {
  while (listening_) {
    UniqueFd socket(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int error = errno;
    JoinEnded();
    if (socket) {
      Adopt(std::move(socket));
    } else if (listening_ && error != EINTR && error != ECONNABORTED) {
      log::warn("{}: accepting a connection: {}", listener_.path,
                ErrnoError(error, "accept").message());
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kAcceptPause);
    }
  }
}

void UnixServer::Adopt(UniqueFd socket) {
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  auto credentials = PeerCredentials(socket.get());
  if (!credentials) {
    log::warn("{}: {}", listener_.path, credentials.error().message());
    return;
  }
  std::lock_guard lock(mutex_);
  if (connections_.size() >= max_connections_) {
    log::warn("{}: refused a connection of user {}: there are {}", listener_.path, credentials->uid,
              max_connections_);
    return;
  }
  const auto connection = connections_.emplace(connections_.end(), std::move(socket));
  connection->peer.pid = credentials->pid;
  connection->peer.uid = credentials->uid;
  connection->peer.gid = credentials->gid;
  connection->peer.groups = std::move(credentials->groups);
  connection->peer.connection = next_connection_++;
  connection->peer.socket = connection->stream.fd();
  try {
    connection->thread = std::thread([this, connection] { Serve(connection); });
  } catch (const std::system_error& e) {
    log::warn("{}: refused a connection: {}", listener_.path, e.what());
    connections_.erase(connection);
  }
}

uint16_t UnixServer::Admit(const Peer& peer) const {
  if (peer.trusted()) return 0;
  std::lock_guard lock(mutex_);
  const auto of_user = std::count_if(connections_.begin(), connections_.end(),
                                     [&](const Connection& c) { return c.peer.uid == peer.uid; });
  return static_cast<size_t>(of_user) > kMaxConnectionsPerUser ? StatusOf(Code::kTooManyOpen) : 0;
}

void UnixServer::Serve(Connections::iterator connection) {
  Status outcome = Greet(*connection);
  if (outcome) {
    do {
      outcome = Answer(*connection);
    } while (outcome);
    for (const auto& callback : on_disconnect_) callback(connection->peer);
  }
  // A peer that goes, be it in the middle of something, is no news; one that talks nonsense is.
  const Code code = outcome.error().code();
  if (code != Code::kInterrupted && code != Code::kUnavailable)
    log::warn("{}: connection of process {} (user {}) ended: {}", listener_.path,
              connection->peer.pid, connection->peer.uid, outcome.error().message());
  connection->stream.Shutdown(SHUT_RDWR);
  std::lock_guard lock(mutex_);
  ended_.splice(ended_.end(), connections_, connection);
  changed_.notify_all();
}

Status UnixServer::Greet(Connection& connection) {
  auto hello = connection.stream.ReceiveHello();
  // Whoever only looks whether somebody listens says nothing.
  if (!hello)
    return Fail(hello.error() == Code::kUnavailable ? Error(Code::kInterrupted) : hello.error());
  Hello answer;
  answer.status =
      hello->version == kProtocolVersion ? Admit(connection.peer) : StatusOf(Code::kNotSupported);
  connection.peer.client = hello->client;
  PXFS_TRY(connection.stream.SendHello(answer));
  if (hello->version != kProtocolVersion)
    return Fail(Code::kNotSupported, "it speaks version " + std::to_string(hello->version));
  if (answer.status != 0) return Fail(CodeOf(answer.status), "too many connections");
  // From now on a silent peer is an idle one.
  const timeval forever{};
  if (::setsockopt(connection.stream.fd(), SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever) != 0)
    return FailErrno(errno, "setsockopt");
  return {};
}

// Receives one request and sends its reply.
Status UnixServer::Answer(Connection& connection) {
  FrameStream& stream = connection.stream;
  PXFS_ASSIGN(
      const std::optional<Frame> frame,
      stream.Receive(FrameKind::kRequest,
                     connection.peer.trusted() ? kMaxBodyBytes : kMaxUntrustedRequestBytes));
  if (!frame) return Fail(Code::kInterrupted);
  FrameHeader header = frame->header;
  header.kind = FrameKind::kReply;
  header.status = 0;
  connection.peer.request = header.request;
  const auto reply = handlers_.Run(header.service, header.method, connection.peer, frame->payload);
  Status sent = reply ? stream.Send(header, {}, *reply) : Status();
  // An answer that is too large for a frame becomes an error that says so.
  std::optional<Error> error;
  if (!reply) error = reply.error();
  if (!sent && sent.error() == Code::kTooBig) error = sent.error();
  if (!error) return sent;
  // What is not to be had because this server ends, the next one may have: the client asks again.
  if (stopping_ && error->code() == Code::kUnavailable) return Fail(Code::kInterrupted);
  header.status = StatusOf(error->code());
  const std::string message = error->message();
  // The client knows what a code means; only words of its own travel.
  return stream.Send(header, message == Describe(error->code()) ? std::string_view() : message, {});
}

void UnixServer::JoinEnded() {
  Connections ended;
  {
    std::lock_guard lock(mutex_);
    ended.swap(ended_);
  }
  for (Connection& connection : ended) connection.thread.join();
}

}  // namespace

Result<std::unique_ptr<Server>> ListenUnix(const std::string& path) {
  PXFS_ASSIGN(UnixListener listener, ListenUnixSocket(path));
  return std::unique_ptr<Server>(std::make_unique<UnixServer>(std::move(listener)));
}

}  // namespace pxfs::rpc
