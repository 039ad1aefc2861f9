#include "fs/connection_state.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace pxfs::fs {
namespace {

UniqueFd Duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

TEST(ConnectionState, SuccessorSeesWhatItsPredecessorLeft) {
  auto first = ConnectionState::Create();
  ASSERT_TRUE(first) << first.error().message();
  const std::string init(104, 'i');
  (*first)->SaveInit(init);
  (*first)->session() = 7;
  (*first)->SetMounted();
  OpenRecord& record = (*first)->open_records()[3];
  record.backing_id = 42;
  record.counts = OpenCounts{2, 1}.Pack();
  record.inode = 99;
  UniqueFd kept = Duplicate((*first)->fd());
  first->reset();

  auto second = ConnectionState::Adopt(std::move(kept));
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(std::string((*second)->init_request().begin(), (*second)->init_request().end()), init);
  EXPECT_EQ((*second)->session(), 7u);
  EXPECT_TRUE((*second)->mounted());
  EXPECT_EQ((*second)->open_records()[3].inode, 99u);
  EXPECT_EQ((*second)->open_records()[3].backing_id, 42);
  const auto counts = OpenCounts::Unpack((*second)->open_records()[3].counts);
  EXPECT_EQ(counts.opens, 2u);
  EXPECT_EQ(counts.writers, 1u);
}

TEST(ConnectionState, AnotherVersionIsRefusedWithWhatToDo) {
  auto state = ConnectionState::Create();
  ASSERT_TRUE(state);
  const uint32_t newer = ConnectionState::kVersion + 1;
  ASSERT_EQ(::pwrite((*state)->fd(), &newer, sizeof newer, 0), static_cast<ssize_t>(sizeof newer));
  auto adopted = ConnectionState::Adopt(Duplicate((*state)->fd()));
  ASSERT_FALSE(adopted);
  EXPECT_EQ(adopted.error(), Code::kInvalid);
  EXPECT_NE(adopted.error().message().find("unmount"), std::string::npos);
}

}  // namespace
}  // namespace pxfs::fs
