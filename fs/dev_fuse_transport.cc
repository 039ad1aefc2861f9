#include "fs/dev_fuse_transport.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "base/logging.h"
#include "fs/kernel_abi.h"

namespace pxfs::fs {

namespace {

// Source: FUSE_HANDLE_KILLPRIV_V2 in <linux/fuse.h>.
bool SaysClearSetId(const fuse_in_header& header) {
  const void* body = &header + 1;
  switch (header.opcode) {
    case FUSE_SETATTR:
      return static_cast<const fuse_setattr_in*>(body)->valid & FATTR_KILL_SUIDGID;
    case FUSE_OPEN:
      return static_cast<const fuse_open_in*>(body)->open_flags & FUSE_OPEN_KILL_SUIDGID;
    case FUSE_WRITE:
      return static_cast<const fuse_write_in*>(body)->write_flags & FUSE_WRITE_KILL_SUIDGID;
    default:
      return false;
  }
}

}  // namespace

DevFuseTransport::DevFuseTransport(UniqueFd device, ConnectionState& state, const Options& options)
    : device_(std::move(device)),
      state_(state),
      options_(options),
      poll_(options.polling_threads),
      replay_init_(!state.init_request().empty()),
      succeeding_(!state.init_request().empty()) {}

DevFuseTransport::~DevFuseTransport() = default;

Status DevFuseTransport::Attach(fuse_session* session) {
  session_ = session;
  fuse_custom_io io{};
  io.read = [](int, void* buffer, size_t size, void* data) {
    return static_cast<DevFuseTransport*>(static_cast<SessionData*>(data)->transport)
        ->Read(buffer, size);
  };
  io.writev = [](int, iovec* iov, int count, void* data) {
    return static_cast<DevFuseTransport*>(static_cast<SessionData*>(data)->transport)
        ->Write(iov, count);
  };
  // libfuse closes the descriptor that it is given with the session.
  UniqueFd own(::dup(device_.get()));
  if (!own) return FailErrno(errno, "dup of /dev/fuse");
  if (const int error = fuse_session_custom_io(session, &io, own.get()); error != 0)
    return FailErrno(-error, "fuse_session_custom_io");
  own.release();
  return {};
}

ssize_t DevFuseTransport::Read(void* buffer, size_t size) {
  auto* header = static_cast<fuse_in_header*>(buffer);
  if (replay_init_.exchange(false)) {
    const auto init = state_.init_request();
    std::memcpy(buffer, init.data(), init.size());
    init_unique_ = header->unique;
    offered_flags2_ = reinterpret_cast<uint32_t*>(header + 1)[abi::kInitInFlags2];
    return static_cast<ssize_t>(init.size());
  }
  poll_.Wait(device_.get());
  if (own_server_) own_server_->reading = true;
  const ssize_t n = draining_ ? (errno = EINTR, -1) : ::read(device_.get(), buffer, size);
  if (own_server_) own_server_->reading = false;
  if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) return n;
  current_request_ = header->unique & ~abi::kUniqueResent;
  clears_set_id_ = SaysClearSetId(*header);
  asks_for_statx_ = header->opcode == abi::kOpStatx;
  if (asks_for_statx_) header->opcode = abi::kOpGetAttr;
  if (header->opcode == abi::kOpTmpfile) {
    // The same request and reply as CREATE; the kernel's name for it, "/", is one that no CREATE
    // can have.
    header->opcode = abi::kOpCreate;
  } else if (header->opcode == abi::kOpInit) {
    state_.SaveInit({static_cast<const char*>(buffer), static_cast<size_t>(n)});
    init_unique_ = header->unique;
    offered_flags2_ = reinterpret_cast<uint32_t*>(header + 1)[abi::kInitInFlags2];
  }
  return n;
}

ssize_t DevFuseTransport::Write(iovec* iov, int count) {
  const auto* header = static_cast<const fuse_out_header*>(iov[0].iov_base);
  if (header->unique != 0 && header->unique == init_unique_) return WriteInitReply(iov, count);
  const ssize_t written = ::writev(device_.get(), iov, count);
  if (header->unique != 0 && !state_.answered()) state_.SetAnswered(true);
  return written;
}

// libfuse 3.14 answers INIT without what it does not know; add that. A successor's reply stays
// here, since the kernel has had its answer: instead it is asked to send again what the dead daemon
// had read and not answered.
ssize_t DevFuseTransport::WriteInitReply(iovec* iov, int count) {
  init_unique_ = 0;
  if (count > 1 && iov[1].iov_len >= sizeof(fuse_init_out)) {
    auto* reply = static_cast<uint32_t*>(iov[1].iov_base);
    const uint32_t offered = offered_flags2_;
    passthrough_ = options_.passthrough && (offered & abi::kPassthrough2) != 0;
    resend_ = (offered & abi::kHasResend2) != 0;
    reply[abi::kInitOutFlags] |= abi::kInitExt | abi::kHandleKillprivV2;
    reply[abi::kInitOutFlags] &= ~abi::kWritebackCache;  // excluded by passthrough
    reply[abi::kInitOutFlags2] |= offered & (abi::kHasResend2 | abi::kDirectIoAllowMmap2);
    if (passthrough_) {
      reply[abi::kInitOutFlags2] |= abi::kPassthrough2;
      reply[abi::kInitOutMaxStackDepth] = 1;
    }
  }
  if (!succeeding_) return ::writev(device_.get(), iov, count);
  ssize_t total = 0;
  for (int i = 0; i < count; ++i) total += static_cast<ssize_t>(iov[i].iov_len);
  if (auto sent = Notify(abi::kNotifyResend); !sent)
    log::error("asking the kernel to send requests again: {}; what was in flight may hang",
               sent.error().message());
  return total;
}

Status DevFuseTransport::Notify(uint32_t code) {
  fuse_out_header header{};
  header.len = sizeof header;
  header.error = static_cast<int32_t>(code);
  if (::write(device_.get(), &header, sizeof header) < 0)
    return FailErrno(errno, "FUSE notification");
  return {};
}

void DevFuseTransport::InvalidateAttributes(uint64_t node) {
  const int error = fuse_lowlevel_notify_inval_inode(session_, node, -1, 0);
  if (error != 0 && error != -ENOENT)
    log::warn("invalidating the attributes of inode {}: {}", node, std::strerror(-error));
}

Status DevFuseTransport::ExpireAllNames() {
  auto sent = Notify(abi::kNotifyIncEpoch);
  if (!sent && sent.error() == Code::kInvalid) return Fail(Code::kNotSupported);
  return sent;
}

Status DevFuseTransport::Serve(const std::function<void()>& ready) {
  // INIT is answered by one thread before the others read.
  fuse_buf buffer{};
  int received;
  do {
    received = fuse_session_receive_buf(session_, &buffer);
  } while (received == -EINTR);
  if (received > 0) fuse_session_process_buf(session_, &buffer);
  std::free(buffer.mem);
  if (received <= 0)
    return received == 0 || received == -ENODEV ? Status{} : FailErrno(-received, "/dev/fuse");

  std::vector<std::thread> threads;
  for (int i = 1; i < options_.threads; ++i) threads.emplace_back([this] { ServeLoop(); });
  ready();  // with others serving: it may look at the mount
  ServeLoop();
  for (auto& thread : threads) thread.join();
  if (const int error = error_; error != 0) return FailErrno(error, "/dev/fuse");
  return {};
}

void DevFuseTransport::ServeLoop() {
  fuse_buf buffer{};
  const auto own = [this] {
    std::lock_guard lock(servers_mutex_);
    servers_.emplace_back().thread = ::pthread_self();
    return std::prev(servers_.end());
  }();
  own_server_ = &*own;
  while (!fuse_session_exited(session_) && !draining_) {
    const int received = fuse_session_receive_buf(session_, &buffer);
    if (received == -EINTR || received == -EAGAIN) continue;
    // Unmounted; the latter while requests, such as thousands of releases, were still on their way.
    if (received == 0 || received == -ENODEV || received == -ECONNABORTED) break;
    if (received < 0) {
      error_ = -received;
      break;
    }
    fuse_session_process_buf(session_, &buffer);
  }
  if (!draining_) fuse_session_exit(session_);
  std::free(buffer.mem);
  own_server_ = nullptr;
  std::lock_guard lock(servers_mutex_);
  servers_.erase(own);
  server_left_.notify_all();
}

// A thread that waits for a request is interrupted by a signal. One that comes just before it
// begins to wait is lost, so it is sent until it has worked.
Status DevFuseTransport::Drain(std::chrono::milliseconds limit) {
  constexpr std::chrono::milliseconds kAgain{1};
  struct sigaction wake {};
  wake.sa_handler = [](int) {};  // and no SA_RESTART
  if (::sigaction(SIGUSR1, &wake, nullptr) != 0) return FailErrno(errno, "sigaction");
  draining_ = true;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::unique_lock lock(servers_mutex_);
  while (!servers_.empty()) {
    if (std::chrono::steady_clock::now() >= deadline)
      return Fail(Code::kTimeout, std::to_string(servers_.size()) + " requests are not answered");
    for (const Server& server : servers_)
      if (server.reading) ::pthread_kill(server.thread, SIGUSR1);
    server_left_.wait_for(lock, kAgain);
  }
  return {};
}

Capabilities DevFuseTransport::capabilities() const { return {passthrough_, resend_}; }

Result<int32_t> DevFuseTransport::OpenBacking(int fd) {
  abi::BackingMap map{fd, 0, 0};
  const int id = ::ioctl(device_.get(), abi::kBackingOpen, &map);
  if (id <= 0) return FailErrno(errno, "registering a backing file");
  return id;
}

void DevFuseTransport::CloseBacking(int32_t id) {
  uint32_t backing = static_cast<uint32_t>(id);
  if (::ioctl(device_.get(), abi::kBackingClose, &backing) != 0)
    log::warn("closing backing {}: {}", id, std::strerror(errno));
}

}  // namespace pxfs::fs
