#include "base/memory_pressure.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

namespace pxfs {
namespace {

// A TCP connection to itself: urgent data is POLLPRI, as the kernel's triggers are.
std::pair<UniqueFd, UniqueFd> Connection() {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0)), sender(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), at, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), at, &size), 0);
  EXPECT_EQ(::connect(sender.get(), at, size), 0);
  return {std::move(sender), UniqueFd(::accept(listener.get(), nullptr, nullptr))};
}

TEST(MemoryPressure, CallsWhenThereIsSome) {
  auto [sender, receiver] = Connection();
  const int received = receiver.get();
  std::mutex mutex;
  std::condition_variable changed;
  int calls = 0;
  std::vector<UniqueFd> triggers;
  triggers.push_back(std::move(receiver));
  auto watch = MemoryPressure::Watch(std::move(triggers), [&] {
    char urgent;  // taken, else poll(2) would show it again
    ::recv(received, &urgent, 1, MSG_OOB);
    std::lock_guard lock(mutex);
    ++calls;
    changed.notify_all();
  });
  ASSERT_TRUE(watch) << watch.error().message();
  for (int expected = 1; expected <= 2; ++expected) {
    ASSERT_EQ(::send(sender.get(), "!", 1, MSG_OOB), 1);
    std::unique_lock lock(mutex);
    EXPECT_TRUE(
        changed.wait_for(lock, std::chrono::seconds(30), [&] { return calls == expected; }));
  }
}

TEST(MemoryPressure, TheKernelTakesTheTriggerAndTheWatchEnds) {
  const auto watch = MemoryPressure::Watch([] {});
  if (::access("/proc/pressure/memory", W_OK) != 0) GTEST_SKIP() << "the kernel does not tell";
  ASSERT_TRUE(watch) << watch.error().message();
}

}  // namespace
}  // namespace pxfs
