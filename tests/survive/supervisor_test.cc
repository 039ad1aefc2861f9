// What starts daemons also knows when to stop.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "tests/support/eventually.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

// The cluster's disk is gone, so no daemon can serve or end in order; once the file system is
// unmounted, there is nothing more to start one for.
TEST(Supervisor, EndsWhenTheFileSystemIsUnmountedThoughNoDaemonCanEndInOrder) {
  auto cluster = TemporaryCluster::Create({});
  ASSERT_TRUE(cluster) << cluster.error().message();
  const std::string directory = (*cluster)->directory();
  auto mount = Mount::Start(directory, (*cluster)->scratch() / "mnt", "");
  ASSERT_TRUE(mount) << mount.error().message();
  const auto supervisor = Process::Find((*mount)->record().supervisor_pid);
  const auto daemon = Process::Find((*mount)->record().daemon_pid);
  ASSERT_TRUE(supervisor && daemon);

  ASSERT_EQ(::rename(directory.c_str(), (directory + ".away").c_str()), 0);
  daemon->Signal(SIGKILL);
  ASSERT_TRUE(daemon->WaitForEnd(std::chrono::seconds(30)));
  EXPECT_FALSE(supervisor->WaitForEnd(std::chrono::milliseconds(500)))
      << "while it is mounted, a daemon may come to work again";
  ASSERT_EQ(::umount2((*mount)->path().c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(supervisor->WaitForEnd(std::chrono::seconds(30)));
  EXPECT_EQ(::rename((directory + ".away").c_str(), directory.c_str()), 0);
  EXPECT_STATUS((*mount)->Kill());
}

// A copy of the mount in another namespace keeps the file system alive, and the log says whose.
TEST(Supervisor, ServesOnWhileAnotherNamespaceHasItMounted) {
  auto cluster = TemporaryCluster::Create({});
  ASSERT_TRUE(cluster) << cluster.error().message();
  auto mount = Mount::Start((*cluster)->directory(), (*cluster)->scratch() / "mnt", "");
  ASSERT_TRUE(mount) << mount.error().message();
  const auto daemon = Process::Find((*mount)->record().daemon_pid);
  ASSERT_TRUE(daemon);
  const std::string path = (*mount)->path();
  auto holder = Daemon::Start({"unshare", "--mount", "--propagation", "private", "sh", "-c",
                               "touch " + path + "/held; exec sleep 600"},
                              (*cluster)->scratch() / "holder.log");
  ASSERT_TRUE(holder) << holder.error().message();
  ASSERT_TRUE(Eventually([&] { return ::access((path + "/held").c_str(), F_OK) == 0; },
                         std::chrono::seconds(30)));
  ASSERT_EQ(::umount2(path.c_str(), 0), 0);
  const auto log_says = [&] {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator((*cluster)->directory() + "/log"))
      if (const auto text = ReadFile(entry.path())) all += *text;
    return all.find("(sleep)") != std::string::npos;
  };
  EXPECT_TRUE(Eventually(log_says, std::chrono::seconds(30)));
  EXPECT_FALSE(daemon->WaitForEnd(std::chrono::milliseconds(0)));
  EXPECT_TRUE(holder->Stop(std::chrono::seconds(30)));
  EXPECT_TRUE(daemon->WaitForEnd(std::chrono::seconds(30)));
  EXPECT_STATUS((*mount)->Kill());
}

}  // namespace
}  // namespace pxfs::test
