// The memory of the process that serves a mount is bounded, however many files programs look at.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/cluster.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr uint64_t kPerDirectory = 1000;
constexpr uint64_t kMaxInodes = 10'000;
// What the process has besides what it keeps of inodes: code, threads, what the store has written
// and read (64 MiB of blocks at most, which many inodes fill), and the allocator's losses.
uint64_t Rest() { return (LongRun() ? 128ull : 32ull) << 20; }
constexpr uint64_t kPerInode = 2048;

std::string Directory(uint64_t number) { return "d" + std::to_string(number); }
std::string File(uint64_t number) {
  return "a file with a name of usual length " + std::to_string(number);
}

// Names for as many inodes, without the detour over a mount.
Status Fill(const std::string& cluster_directory, uint64_t inodes) {
  PXFS_ASSIGN(const auto cluster, cli::Cluster::Open(cluster_directory, cli::Access::kServe, {}));
  meta::SessionSpec spec;
  spec.description = "test";
  PXFS_ASSIGN(const SessionId session, cluster->metadata().OpenSession(spec));
  const meta::CallContext ctx{.session = session};
  for (uint64_t directory = 0; directory < inodes / kPerDirectory; ++directory) {
    std::vector<meta::TreeNode> nodes(1 + kPerDirectory);
    nodes[0].path = Directory(directory);
    nodes[0].mode = S_IFDIR | 0755;
    for (uint64_t i = 0; i < kPerDirectory; ++i) {
      nodes[i + 1].path = Directory(directory) + "/" + File(i);
      nodes[i + 1].mode = S_IFIFO | 0644;
    }
    PXFS_TRY(cluster->metadata().AddTree(ctx, kRootInode, nodes, meta::IfExists::kFail));
  }
  return cluster->metadata().CloseSession(session);
}

uint64_t ResidentBytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  uint64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

TEST(MemoryTest, LooksAtManyFilesLeaveTheServiceUnderItsCap) {
  const uint64_t inodes = LongRun() ? 1'000'000 : 60'000;
  const int rounds = LongRun() ? 10 : 1;
  auto cluster = TemporaryCluster::Create({.volumes = 1, .ext4_image = true});
  ASSERT_TRUE(cluster) << cluster.error().message();
  ASSERT_STATUS(Fill((*cluster)->directory(), inodes));
  auto mount = Mount::Start((*cluster)->directory(), (*cluster)->scratch() / "mnt",
                            "max_inodes=" + std::to_string(kMaxInodes));
  ASSERT_TRUE(mount) << mount.error().message();
  const pid_t daemon = (*mount)->record().daemon_pid;
  const uint64_t before = ResidentBytes(daemon);
  for (int round = 0; round < rounds; ++round) {
    // What the kernel keeps would spare the daemon the work.
    std::ofstream("/proc/sys/vm/drop_caches") << 2;
    const auto look = [&](uint64_t first) {
      for (uint64_t directory = first; directory < inodes / kPerDirectory; directory += 2) {
        const auto at =
            OpenAt(AT_FDCWD, (*mount)->path() + "/" + Directory(directory), O_PATH | O_DIRECTORY);
        ASSERT_TRUE(at) << at.error().message();
        struct stat st;
        for (uint64_t i = 0; i < kPerDirectory; ++i)
          ASSERT_EQ(::fstatat(at->get(), File(i).c_str(), &st, AT_SYMLINK_NOFOLLOW), 0);
      }
    };
    std::thread other([&] { look(1); });
    look(0);
    other.join();
  }
  const auto status = RunProgram({Program("pxfs"), "status", "--json"},
                                 {"PXFS_CLUSTER=" + (*cluster)->directory()});
  ASSERT_TRUE(status) << status.error().message();
  const auto cache = nlohmann::json::parse(status->output)["cache"];
  const uint64_t after = ResidentBytes(daemon);
  std::printf(
      "%lu stats of %lu inodes: %lu inodes and %lu names are kept; %.1f MiB before, %.1f after\n",
      inodes * static_cast<uint64_t>(rounds), inodes, cache["inodes"].get<uint64_t>(),
      cache["names"].get<uint64_t>(), static_cast<double>(before) / (1 << 20),
      static_cast<double>(after) / (1 << 20));
  EXPECT_EQ(cache["max_inodes"], kMaxInodes / 64 * 64);
  EXPECT_LE(cache["inodes"], kMaxInodes);
  EXPECT_LE(cache["names"], kMaxInodes);
  EXPECT_GT(cache["inodes"], kMaxInodes / 2) << "it was made use of";
  // A sanitizer's programs take memory for themselves.
  if (!ProgramsAreOfAnotherBuild()) {
    EXPECT_LT(after, Rest() + kMaxInodes * kPerInode);
  }
  EXPECT_STATUS((*mount)->Stop());
}

}  // namespace
}  // namespace pxfs::test
