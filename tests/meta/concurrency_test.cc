// Threads that work against each other: every transaction is whole, the caches tell the truth, the
// store stays sound.
#include <linux/fs.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

class ConcurrencyTest : public ServiceTest {
 protected:
  void RunThreads(int count, const std::function<void(int)>& body) {
    std::vector<std::thread> threads;
    for (int t = 0; t < count; ++t) threads.emplace_back(body, t);
    for (std::thread& thread : threads) thread.join();
  }
};

TEST_P(ConcurrencyTest, OneOfManyCreatesAName) {
  constexpr int kThreads = 4, kNames = 100;
  std::atomic<int> made{0};
  RunThreads(kThreads, [&](int) {
    for (int i = 0; i < kNames; ++i) {
      const auto node =
          service_->MakeNode(ctx_, kRootInode, std::to_string(i), {S_IFDIR | 0755, 0, 0, ""});
      if (node)
        ++made;
      else
        EXPECT_EQ(node.error().code(), Code::kExists);
    }
  });
  EXPECT_EQ(made, kNames);
  EXPECT_EQ(Stat(kRootInode).nlink, 2u + kNames);
}

TEST_P(ConcurrencyTest, NoDirectoryEndsUpInItself) {
  const InodeId a = MakeDirectory(kRootInode, "a"), b = MakeDirectory(kRootInode, "b");
  for (int round = 0; round < 50; ++round) {
    Result<Removed> into_b, into_a;
    RunThreads(2, [&](int t) {
      if (t == 0)
        into_b = service_->Rename(ctx_, kRootInode, "a", b, "a", 0);
      else
        into_a = service_->Rename(ctx_, kRootInode, "b", a, "b", 0);
    });
    EXPECT_NE(into_a.has_value(), into_b.has_value()) << "exactly one can win";
    const auto back = into_b ? service_->Rename(ctx_, b, "a", kRootInode, "a", 0)
                             : service_->Rename(ctx_, a, "b", kRootInode, "b", 0);
    EXPECT_OK(back);
  }
}

// Every report replaces the table of volumes that who asks for the space is reading.
TEST_P(ConcurrencyTest, SpaceIsThatOfOneReport) {
  constexpr uint64_t kTotal = 1 << 30;
  EXPECT_OK(service_->ReportVolume({volume_, true, false, kTotal, 0, ""}));
  std::atomic<bool> over{false};
  RunThreads(2, [&](int t) {
    if (t == 0) {
      for (uint64_t i = 1; i < 300'000; ++i)
        EXPECT_OK(service_->ReportVolume({volume_, true, false, kTotal + i, i, ""}));
      over = true;
    } else {
      while (!over) {
        const auto space = service_->GetStatFs();
        ASSERT_TRUE(space);
        EXPECT_EQ(space->total_bytes, kTotal + space->free_bytes);
      }
    }
  });
}

// A name that is renamed to and fro is always found under exactly one of its names, with its inode.
TEST_P(ConcurrencyTest, ReadersSeeWholeTransactions) {
  const InodeId d = MakeDirectory(kRootInode, "d"), e = MakeDirectory(kRootInode, "e");
  const InodeId f = MakeFile(d, "f"), g = MakeFile(e, "f");
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 500; ++i)
      EXPECT_OK(service_->Rename(ctx_, d, "f", e, "f", RENAME_EXCHANGE));
    done = true;
  });
  while (!done) {
    const auto found = service_->Lookup(ctx_, d, "f");
    ASSERT_TRUE(found.has_value());
    EXPECT_TRUE(found->inode == f || found->inode == g);
    const auto path = service_->PathOf(f);
    ASSERT_TRUE(path.has_value());
    EXPECT_TRUE(*path == "/d/f" || *path == "/e/f") << *path;
  }
  writer.join();
}

TEST_P(ConcurrencyTest, RandomOperationsLeaveASoundStore) {
  constexpr int kThreads = 4, kSteps = 400;
  std::vector<InodeId> directories = {kRootInode};
  for (const char* name : {"x", "y", "z"}) directories.push_back(MakeDirectory(kRootInode, name));
  RunThreads(kThreads, [&](int t) {
    std::minstd_rand random(static_cast<unsigned>(t) + 1);
    CallContext ctx = ctx_;
    ctx.session = OpenSession("thread " + std::to_string(t));
    const auto directory = [&] { return directories[random() % directories.size()]; };
    const auto name = [&] { return std::string(1, static_cast<char>('a' + random() % 6)); };
    const auto tolerate = [&](const auto& result) {
      if (result) return;
      const Code code = result.error().code();
      EXPECT_TRUE(code != Code::kConflict && code != Code::kCorruption && code != Code::kIo)
          << result.error().message();
    };
    for (int step = 0; step < kSteps; ++step) {
      switch (random() % 9) {
        case 0: {
          const auto made = service_->Create(ctx, directory(), name(), {S_IFREG | 0644, 0, 0, ""});
          tolerate(made);
          if (made) tolerate(service_->CloseWrite(ctx, made->attr.inode, Content(step)));
          break;
        }
        case 1:
          tolerate(service_->MakeNode(ctx, directory(), name(), {S_IFDIR | 0755, 0, 0, ""}));
          break;
        case 2:
          tolerate(service_->Unlink(ctx, directory(), name()));
          break;
        case 3:
          tolerate(service_->RemoveDirectory(ctx, directory(), name()));
          break;
        case 4:
          tolerate(service_->Rename(ctx, directory(), name(), directory(), name(), 0));
          break;
        case 5:
          tolerate(
              service_->Rename(ctx, directory(), name(), directory(), name(), RENAME_EXCHANGE));
          break;
        case 6: {
          const auto found = service_->Lookup(ctx, directory(), name());
          tolerate(found);
          if (found) tolerate(service_->Link(ctx, found->inode, directory(), name()));
          break;
        }
        case 7:
          tolerate(service_->ReadDirectory(ctx, directory(), 0, 100, true));
          break;
        case 8: {
          const auto items = service_->WaitReclaimable(10, std::chrono::milliseconds(0));
          tolerate(items);
          if (items) tolerate(service_->Reclaimed(*items));
          break;
        }
      }
    }
    EXPECT_OK(service_->CloseSession(ctx.session));
  });
}

class Quiet : public CacheListener {
 public:
  void Invalidate(std::span<const Invalidation>) override {}
};

// Sessions that come and go while names are taken away: no orphan is held by a session that has
// ended.
TEST_P(ConcurrencyTest, OrphansAndSessions) {
  Quiet listener;
  RunThreads(3, [&](int t) {
    for (int i = 0; i < 60; ++i) {
      if (t == 0) {
        EXPECT_OK(service_->CloseSession(OpenSession("short", &listener)));
        continue;
      }
      const std::string name = std::to_string(t) + "-" + std::to_string(i);
      EXPECT_OK(service_->MakeNode(ctx_, kRootInode, name, {S_IFIFO | 0644, 0, 0, ""}));
      EXPECT_OK(service_->Unlink(ctx_, kRootInode, name));
    }
  });
  EXPECT_EQ(Value(service_->GetStatistics()).orphans, 0u);
  EXPECT_EQ(Value(service_->GetStatistics()).inodes, 1u);
}

PXFS_BOTH_ENGINES(ConcurrencyTest);

}  // namespace
}  // namespace pxfs::meta
