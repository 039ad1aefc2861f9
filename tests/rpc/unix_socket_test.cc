#include "rpc/unix_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/rpc/temp_directory.h"

namespace pxfs::rpc {
namespace {

TEST(UnixSocket, ReplacesASocketThatNobodyListensOn) {
  TempDirectory directory;
  const std::string path = directory / "sock";
  auto first = ListenUnixSocket(path);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_TRUE(ConnectUnixSocket(path));

  auto second = ListenUnixSocket(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
  EXPECT_TRUE(ConnectUnixSocket(path)) << "the one in use was left alone";

  // Nobody listens any more, as after a kill, but the inode is not reused yet.
  ASSERT_EQ(::shutdown(first->socket.get(), SHUT_RDWR), 0);
  EXPECT_EQ(ConnectUnixSocket(path).error().code(), Code::kUnavailable);
  auto third = ListenUnixSocket(path);
  ASSERT_TRUE(third) << third.error().message();
  EXPECT_TRUE(ConnectUnixSocket(path));

  RemoveSocketFile(*first);
  EXPECT_TRUE(ConnectUnixSocket(path)) << "removing the old one left the new one alone";
  RemoveSocketFile(*third);
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(UnixSocket, OneOfManyThatTryAtOnceGetsTheStaleSocket) {
  TempDirectory directory;
  const std::string path = directory / "sock";
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(ListenUnixSocket(path));  // and gone again at once: stale
    std::vector<Result<UnixListener>> listeners;
    for (int i = 0; i < 4; ++i) listeners.emplace_back(Fail(Code::kIo));
    std::vector<std::thread> threads;
    for (auto& listener : listeners)
      threads.emplace_back([&] { listener = ListenUnixSocket(path); });
    for (auto& thread : threads) thread.join();
    int succeeded = 0;
    for (const auto& listener : listeners) {
      if (listener)
        ++succeeded;
      else
        EXPECT_EQ(listener.error().code(), Code::kBusy) << listener.error().message();
    }
    EXPECT_EQ(succeeded, 1);
  }
}

// A process that is killed while it starts another one: the child has its sockets until it runs the
// program.
TEST(UnixSocket, ReplacesTheSocketOfAnEndedProcessWhoseChildHasItOpen) {
  TempDirectory directory;
  const std::string path = directory / "sock";
  int hold[2];
  ASSERT_EQ(::pipe2(hold, O_CLOEXEC), 0);
  const pid_t listening = ::fork();
  ASSERT_GE(listening, 0);
  if (listening == 0) {
    const auto listener = ListenUnixSocket(path);
    if (!listener || ::fork() != 0) ::_exit(listener ? 0 : 1);
    ::close(hold[1]);
    char end;
    ::_exit(::read(hold[0], &end, 1) == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(listening, &status, 0), listening);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(ConnectUnixSocket(path)) << "the child has it open";

  const auto next = ListenUnixSocket(path);
  ASSERT_TRUE(next) << next.error().message();
  const auto connection = ConnectUnixSocket(path);
  ASSERT_TRUE(connection);
  EXPECT_EQ(PeerCredentials(connection->get())->pid, ::getpid());
  ::close(hold[0]);
  ::close(hold[1]);
}

TEST(UnixSocket, LeavesAloneWhatIsNoSocket) {
  TempDirectory directory;
  const std::string path = directory / "file";
  ASSERT_TRUE(WriteFileAtomically(path, "precious"));
  const auto listener = ListenUnixSocket(path);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code(), Code::kExists);
  EXPECT_EQ(*ReadFile(path), "precious");
  EXPECT_EQ(ConnectUnixSocket(path).error().code(), Code::kUnavailable);
}

TEST(UnixSocket, ReachesPathsLongerThanAnAddress) {
  TempDirectory directory;
  const std::string deep = directory / std::string(100, 'a') + "/" + std::string(100, 'b');
  ASSERT_TRUE(MakeDirectories(deep));
  const std::string path = deep + "/pxfs.sock";
  const auto listener = ListenUnixSocket(path);
  ASSERT_TRUE(listener) << listener.error().message();
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  EXPECT_TRUE(ConnectUnixSocket(path));
  EXPECT_EQ(ListenUnixSocket(path).error().code(), Code::kBusy);
}

TEST(UnixSocket, SaysWhatIsWrongWithAPath) {
  TempDirectory directory;
  EXPECT_EQ(ListenUnixSocket(directory / "missing/sock").error().code(), Code::kNotFound);
  EXPECT_EQ(ListenUnixSocket("").error().code(), Code::kNameTooLong);
  EXPECT_EQ(ListenUnixSocket(directory / std::string(120, 'n')).error().code(), Code::kNameTooLong);
  EXPECT_EQ(ConnectUnixSocket(directory / "missing").error().code(), Code::kUnavailable);
  EXPECT_EQ(ConnectUnixSocket(directory / (std::string(120, 'd') + "/sock")).error().code(),
            Code::kUnavailable);
}

TEST(UnixSocket, TellsWhoThePeerIs) {
  TempDirectory directory;
  const auto listener = ListenUnixSocket(directory / "sock");
  ASSERT_TRUE(listener);
  const auto client = ConnectUnixSocket(directory / "sock");
  ASSERT_TRUE(client);
  const UniqueFd accepted(::accept4(listener->socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const auto peer = PeerCredentials(accepted.get());
  ASSERT_TRUE(peer) << peer.error().message();
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->uid, ::geteuid());
  EXPECT_EQ(peer->gid, ::getegid());
  std::vector<gid_t> groups(static_cast<size_t>(::getgroups(0, nullptr)));
  ASSERT_GE(::getgroups(static_cast<int>(groups.size()), groups.data()), 0);
  EXPECT_EQ(peer->groups, groups);
}

}  // namespace
}  // namespace pxfs::rpc
