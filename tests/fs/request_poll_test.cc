#include "fs/request_poll.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace pxfs::fs {
namespace {

class RequestPollTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    reader_ = UniqueFd(ends[0]);
    writer_ = UniqueFd(ends[1]);
  }
  UniqueFd reader_, writer_;
};

// The caller's read blocks for as long as it takes; the poll must not.
TEST_F(RequestPollTest, GivesUpWhereNothingComes) {
  RequestPoll poll(1);
  for (int i = 0; i < 1000; ++i) poll.Wait(reader_.get());
}

TEST_F(RequestPollTest, LeavesWhatItFinds) {
  RequestPoll poll(1);
  ASSERT_EQ(::write(writer_.get(), "x", 1), 1);
  poll.Wait(reader_.get());
  char byte = 0;
  ASSERT_EQ(::read(reader_.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

// Places are given back: as many threads as there are, again and again, none waits for another.
TEST_F(RequestPollTest, ServesMoreThreadsThanPlaces) {
  RequestPoll poll(2);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 500; ++j) poll.Wait(reader_.get());
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace pxfs::fs
