#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "rpc/client.h"
#include "rpc/frame_stream.h"
#include "rpc/server.h"
#include "rpc/unix_socket.h"
#include "tests/rpc/temp_directory.h"

namespace pxfs::rpc {
namespace {

constexpr uint16_t kEcho = 1, kFail = 2, kMeet = 3;

class UnixClientTest : public testing::Test {
 protected:
  void SetUp() override { server_ = StartServer(); }

  std::unique_ptr<Server> StartServer() {
    auto server = ListenUnix(path_);
    EXPECT_TRUE(server) << server.error().message();
    (*server)->Register(Service::kControl, kEcho,
                        [](const Peer&, std::string_view request) -> Result<std::string> {
                          return std::string(request);
                        });
    (*server)->Register(Service::kControl, kFail,
                        [](const Peer&, std::string_view request) -> Result<std::string> {
                          return Fail(Code::kNotEmpty, std::string(request));
                        });
    // Returns once as many handlers run at once as the request says, or the server stops.
    (*server)->Register(Service::kControl, kMeet,
                        [this](const Peer& peer, std::string_view request) -> Result<std::string> {
                          const size_t expected = std::stoul(std::string(request));
                          std::unique_lock lock(mutex_);
                          ++present_;
                          clients_.insert(peer.client);
                          connections_.insert(peer.connection);
                          changed_.notify_all();
                          changed_.wait(lock, [&] { return present_ >= expected || stopping_; });
                          return std::string();
                        });
    (*server)->OnStop([this] {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    });
    EXPECT_TRUE((*server)->Start());
    return std::move(*server);
  }
  std::unique_ptr<Client> Connect() {
    auto client = ConnectUnix(path_);
    EXPECT_TRUE(client) << client.error().message();
    return std::move(*client);
  }
  void WaitUntilPresent(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return present_ >= count; }));
  }

  TempDirectory directory_;
  const std::string path_ = directory_ / "sock";
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t present_ = 0;
  bool stopping_ = false;
  std::set<uint64_t> clients_, connections_;
  std::unique_ptr<Server> server_;
};

TEST_F(UnixClientTest, CarriesRepliesAndErrors) {
  auto client = Connect();
  Outcome outcome;
  auto reply = client->Call(Service::kControl, kEcho, "hello", &outcome);
  ASSERT_TRUE(reply);
  EXPECT_EQ(*reply, "hello");
  EXPECT_EQ(outcome, Outcome::kAnswered);

  reply = client->Call(Service::kControl, kFail, "/dir is full", &outcome);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), Code::kNotEmpty);
  EXPECT_EQ(reply.error().message(), "/dir is full");
  EXPECT_EQ(outcome, Outcome::kAnswered);

  reply = client->Call(Service::kControl, kFail, "");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message(), Describe(Code::kNotEmpty));

  const std::string large(kMaxBodyBytes, 'x');
  reply = client->Call(Service::kControl, kEcho, large);
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(*reply, large);
  reply = client->Call(Service::kControl, kEcho, large + "x", &outcome);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), Code::kTooBig);
  EXPECT_EQ(outcome, Outcome::kNotSent);
  EXPECT_EQ(server_->connections(), 1u) << "calls in turn share a connection";
}

TEST_F(UnixClientTest, CallsInFlightHaveAConnectionEach) {
  auto client = Connect();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { EXPECT_TRUE(client->Call(Service::kControl, kMeet, "8")); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(connections_.size(), 8u);
  EXPECT_EQ(clients_.size(), 1u);
}

TEST_F(UnixClientTest, GoesOnWithANewServer) {
  auto client = Connect();
  ASSERT_TRUE(client->Call(Service::kControl, kEcho, "1"));
  server_.reset();
  Outcome outcome;
  auto reply = client->Call(Service::kControl, kEcho, "2", &outcome);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), Code::kUnavailable);
  EXPECT_EQ(outcome, Outcome::kNotSent);
  server_ = StartServer();
  reply = client->Call(Service::kControl, kEcho, "3");
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(*reply, "3");
}

TEST_F(UnixClientTest, CloseEndsCallsInFlight) {
  auto client = Connect();
  std::thread caller([&] {
    Outcome outcome;
    const auto reply = client->Call(Service::kControl, kMeet, "100", &outcome);
    EXPECT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), Code::kUnavailable);
    EXPECT_EQ(outcome, Outcome::kUnknown);
  });
  WaitUntilPresent(1);
  client->Close();
  caller.join();
  EXPECT_EQ(client->Call(Service::kControl, kEcho, "").error().code(), Code::kUnavailable);
}

TEST_F(UnixClientTest, NobodyThere) {
  const auto client = ConnectUnix(directory_ / "nobody");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), Code::kUnavailable);
}

// A peer that answers a connection with these bytes and closes it.
class RogueServer {
 public:
  RogueServer(const std::string& path, std::vector<std::string> answers)
      : listener_(*ListenUnixSocket(path)), thread_([this, answers = std::move(answers)] {
          for (const std::string& answer : answers) {
            UniqueFd peer(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
            EXPECT_TRUE(WriteAll(peer.get(), answer));
            ::shutdown(peer.get(), SHUT_WR);
            char sink[1024];
            while (::read(peer.get(), sink, sizeof sink) > 0) {
            }
          }
        }) {}
  ~RogueServer() { thread_.join(); }

 private:
  UnixListener listener_;
  std::thread thread_;
};

template <size_t N>
std::string Bytes(const std::array<char, N>& bytes) {
  return {bytes.data(), bytes.size()};
}

TEST_F(UnixClientTest, RefusesServersThatItCannotTalkTo) {
  Hello newer;
  newer.version = 9;
  newer.status = StatusOf(Code::kNotSupported);
  Hello crowded;
  crowded.status = StatusOf(Code::kTooManyOpen);
  RogueServer rogue(directory_ / "rogue", {"SSH-2.0-OpenSSH_9.2\r\n", "PX", Bytes(Encode(newer)),
                                           Bytes(Encode(crowded))});
  for (const Code expected :
       {Code::kCorruption, Code::kUnavailable, Code::kNotSupported, Code::kTooManyOpen}) {
    const auto client = ConnectUnix(directory_ / "rogue");
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code(), expected) << client.error().message();
  }
}

TEST_F(UnixClientTest, ABadReplyFailsItsCall) {
  FrameHeader reply;
  reply.kind = FrameKind::kReply;
  reply.request = 999;  // not what was asked
  FrameHeader huge;
  huge.kind = FrameKind::kReply;
  huge.body_bytes = 0xFFFFFFFF;
  const std::string hello = Bytes(Encode(Hello{}));
  RogueServer rogue(directory_ / "rogue",
                    {hello + Bytes(Encode(reply)), hello + Bytes(Encode(huge)), hello});
  auto client = ConnectUnix(directory_ / "rogue");
  ASSERT_TRUE(client);
  for (const Code expected : {Code::kCorruption, Code::kCorruption, Code::kUnavailable}) {
    Outcome outcome;
    const auto answer = (*client)->Call(Service::kControl, kEcho, "x", &outcome);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), expected) << answer.error().message();
    EXPECT_EQ(outcome, Outcome::kUnknown);
  }
}

}  // namespace
}  // namespace pxfs::rpc
