// The server against peers that speak the protocol by hand, well or badly.
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <future>
#include <mutex>

#include "rpc/frame_stream.h"
#include "rpc/server.h"
#include "rpc/unix_socket.h"
#include "tests/rpc/temp_directory.h"

namespace pxfs::rpc {
namespace {

constexpr uint16_t kEcho = 1, kWho = 2, kThrow = 3, kWaitForStop = 4, kGiveUpAtStop = 5;

class UnixServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = ListenUnix(path_);
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    server_->Register(Service::kControl, kEcho,
                      [](const Peer&, std::string_view request) -> Result<std::string> {
                        return std::string(request);
                      });
    server_->Register(Service::kControl, kWho,
                      [](const Peer& peer, std::string_view) -> Result<std::string> {
                        std::string who = std::to_string(peer.uid) + ":" + std::to_string(peer.gid);
                        for (const gid_t group : peer.groups) who += "," + std::to_string(group);
                        return who + (peer.trusted() ? " trusted" : "");
                      });
    server_->Register(Service::kControl, kThrow,
                      [](const Peer&, std::string_view) -> Result<std::string> {
                        throw std::runtime_error("out of luck");
                      });
    server_->Register(Service::kControl, kWaitForStop,
                      [this](const Peer&, std::string_view) -> Result<std::string> {
                        std::unique_lock lock(mutex_);
                        ++waiting_;
                        changed_.notify_all();
                        changed_.wait(lock, [this] { return stopping_; });
                        return "stopped";
                      });
    server_->Register(Service::kControl, kGiveUpAtStop,
                      [this](const Peer&, std::string_view) -> Result<std::string> {
                        std::unique_lock lock(mutex_);
                        ++waiting_;
                        changed_.notify_all();
                        changed_.wait(lock, [this] { return stopping_; });
                        return Fail(Code::kUnavailable, "the service is ending");
                      });
    server_->OnStop([this] {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    });
    server_->OnDisconnect([this](const Peer& peer) {
      std::lock_guard lock(mutex_);
      gone_.push_back(peer.client);
      changed_.notify_all();
    });
    ASSERT_TRUE(server_->Start());
  }

  std::unique_ptr<FrameStream> Connect() {
    auto socket = ConnectUnixSocket(path_);
    EXPECT_TRUE(socket) << socket.error().message();
    return std::make_unique<FrameStream>(std::move(*socket));
  }
  std::unique_ptr<FrameStream> Greeted(uint64_t client = 0) {
    auto stream = Connect();
    Hello hello;
    hello.client = client;
    EXPECT_TRUE(stream->SendHello(hello));
    const auto answer = stream->ReceiveHello();
    EXPECT_TRUE(answer && answer->status == 0);
    return stream;
  }
  static FrameHeader Request(uint16_t method) {
    FrameHeader header;
    header.method = method;
    header.request = 42;
    return header;
  }
  static Result<std::optional<Frame>> Reply(FrameStream& stream) {
    return stream.Receive(FrameKind::kReply, kMaxBodyBytes);
  }
  // The server has closed this connection without another word.
  static bool IsClosed(FrameStream& stream) {
    const auto frame = Reply(stream);
    return !frame || !*frame;
  }
  template <typename Condition>
  void WaitUntil(Condition condition) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), condition));
  }

  TempDirectory directory_;
  const std::string path_ = directory_ / "sock";
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool stopping_ = false;
  std::vector<uint64_t> gone_;
  std::unique_ptr<Server> server_;  // last: its threads use what is above
};

TEST_F(UnixServerTest, AnswersOneRequestAfterAnother) {
  auto stream = Greeted();
  for (const size_t size : {size_t{0}, size_t{5}, size_t{100'000}, size_t{5'000'000}}) {
    const std::string payload(size, 'p');
    ASSERT_TRUE(stream->Send(Request(kEcho), {}, payload));
    const auto reply = Reply(*stream);
    ASSERT_TRUE(reply && *reply);
    EXPECT_EQ((*reply)->header.request, 42u);
    EXPECT_EQ((*reply)->header.status, 0);
    EXPECT_EQ((*reply)->payload, payload);
  }
}

TEST_F(UnixServerTest, AnUnknownMethodAndAnExceptionAreErrorsOfTheCall) {
  auto stream = Greeted();
  ASSERT_TRUE(stream->Send(Request(999), {}, {}));
  auto reply = Reply(*stream);
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ(CodeOf((*reply)->header.status), Code::kNotImplemented);
  ASSERT_TRUE(stream->Send(Request(kThrow), {}, {}));
  reply = Reply(*stream);
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ(CodeOf((*reply)->header.status), Code::kIo);
  EXPECT_NE((*reply)->message.find("out of luck"), std::string::npos);
  ASSERT_TRUE(stream->Send(Request(kEcho), {}, "still here"));
  reply = Reply(*stream);
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ((*reply)->payload, "still here");
}

TEST_F(UnixServerTest, DropsAPeerThatDoesNotSpeakTheProtocol) {
  auto stream = Connect();
  ASSERT_TRUE(WriteAll(stream->fd(), "GET / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(IsClosed(*stream));
}

TEST_F(UnixServerTest, RefusesAnotherVersionAndSaysItsOwn) {
  auto stream = Connect();
  Hello hello;
  hello.version = kProtocolVersion + 1;
  ASSERT_TRUE(stream->SendHello(hello));
  const auto answer = stream->ReceiveHello();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->version, kProtocolVersion);
  EXPECT_EQ(CodeOf(answer->status), Code::kNotSupported);
  EXPECT_TRUE(IsClosed(*stream));
}

TEST_F(UnixServerTest, DropsAFrameThatIsTooLargeOrOfTheWrongKind) {
  auto large = Greeted();
  FrameHeader header = Request(kEcho);
  header.body_bytes = kMaxBodyBytes + 1;
  const auto bytes = Encode(header);
  ASSERT_TRUE(WriteAll(large->fd(), {bytes.data(), bytes.size()}));
  EXPECT_TRUE(IsClosed(*large));

  auto wrong = Greeted();
  header = Request(kEcho);
  header.kind = FrameKind::kReply;
  ASSERT_TRUE(wrong->Send(header, {}, "x"));
  EXPECT_TRUE(IsClosed(*wrong));

  auto good = Greeted();
  ASSERT_TRUE(good->Send(Request(kEcho), {}, "x"));
  EXPECT_FALSE(IsClosed(*good));
}

TEST_F(UnixServerTest, TellsWhenAConnectionIsGone) {
  auto whole = Greeted(7);
  auto torn = Greeted(8);
  ASSERT_TRUE(WriteAll(torn->fd(), "half a fr"));
  whole.reset();
  WaitUntil([&] { return gone_ == std::vector<uint64_t>{7}; });
  torn.reset();
  WaitUntil([&] { return gone_ == std::vector<uint64_t>{7, 8}; });
}

TEST_F(UnixServerTest, StopListeningKeepsConnections) {
  auto stream = Greeted();
  server_->StopListening();
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  EXPECT_FALSE(ConnectUnixSocket(path_));
  ASSERT_TRUE(stream->Send(Request(kEcho), {}, "on"));
  const auto reply = Reply(*stream);
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ((*reply)->payload, "on");
  EXPECT_EQ(server_->connections(), 1u);
  const auto successor = ListenUnix(path_);
  ASSERT_TRUE(successor) << successor.error().message();
  server_->Stop();
  EXPECT_EQ(server_->connections(), 0u);
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0) << "the successor's file is not ours to remove";
}

TEST_F(UnixServerTest, StopLetsRunningHandlersAnswer) {
  auto busy = Greeted();
  auto idle = Greeted();
  ASSERT_TRUE(busy->Send(Request(kWaitForStop), {}, {}));
  WaitUntil([&] { return waiting_ == 1; });
  server_->Stop();
  const auto reply = Reply(*busy);
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ((*reply)->payload, "stopped");
  EXPECT_TRUE(IsClosed(*busy));
  EXPECT_TRUE(IsClosed(*idle));
  server_->Stop();  // again is nothing
}

// The client would take it for the last word, and there may be a next server.
TEST_F(UnixServerTest, StopHidesThatItIsTheReason) {
  auto waiting = Greeted();
  ASSERT_TRUE(waiting->Send(Request(kGiveUpAtStop), {}, {}));
  WaitUntil([&] { return waiting_ == 1; });
  server_->Stop();
  EXPECT_TRUE(IsClosed(*waiting));
}

// Runs `body` in a child process with another user's credentials; its result is the exit status.
int RunAs(uid_t uid, gid_t gid, const std::vector<gid_t>& groups,
          const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(gid) != 0 || ::setuid(uid) != 0)
      ::_exit(99);
    ::_exit(body());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(UnixServerTest, KnowsOtherUsersAndBoundsThem) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  EXPECT_EQ(RunAs(12345, 23456, {34567, 45678},
                  [&] {
                    auto stream = Greeted();
                    if (!stream->Send(Request(kWho), {}, {})) return 1;
                    auto reply = Reply(*stream);
                    if (!reply || !*reply || (*reply)->payload != "12345:23456,34567,45678")
                      return 2;
                    // More than an untrusted peer may send at once.
                    FrameHeader header = Request(kEcho);
                    header.body_bytes = kMaxUntrustedRequestBytes + 1;
                    const auto bytes = Encode(header);
                    if (!WriteAll(stream->fd(), {bytes.data(), bytes.size()})) return 3;
                    return IsClosed(*stream) ? 0 : 4;
                  }),
            0);
  EXPECT_EQ(RunAs(12345, 12345, {},
                  [&] {
                    std::vector<std::unique_ptr<FrameStream>> streams;
                    for (int i = 0; i < 200; ++i) {
                      streams.push_back(Connect());
                      if (!streams.back()->SendHello({})) return 1;
                      const auto answer = streams.back()->ReceiveHello();
                      if (!answer) return 2;
                      if (answer->status != 0)
                        return CodeOf(answer->status) == Code::kTooManyOpen && i >= 100 ? 0 : 3;
                    }
                    return 4;
                  }),
            0);
  auto stream = Greeted();
  ASSERT_TRUE(stream->Send(Request(kWho), {}, {}));
  const auto reply = Reply(*stream);
  ASSERT_TRUE(reply && *reply);
  EXPECT_NE((*reply)->payload.find("trusted"), std::string::npos);
}

}  // namespace
}  // namespace pxfs::rpc
