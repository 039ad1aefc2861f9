// The real `pxfs-job` on a mounted cluster of three volumes, and the proof that ended jobs leave
// nothing behind. One cluster serves all tests of a program; each test works in a directory of its
// own.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/eventually.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {

// A user that is neither root nor known to the machine.
inline constexpr unsigned kStranger = 54321;

class JobTest : public testing::Test {
 public:
  static void SetUpTestSuite() { Begin(Shape::kEmbedded); }
  static void TearDownTestSuite() { Finish(); }

 protected:
  static void Begin(Shape shape);
  static void Begin(const MountedOptions& options);
  // Unmounts; fails where jobs have left something.
  static void Finish();
  static MountedCluster& cluster() { return *cluster_; }

  void SetUp() override;
  // Fails where jobs have left something. After a failure, what its jobs would keep from the tests
  // that follow is freed first.
  void TearDown() override;

  // A directory of this test on the mount, open to everybody, and the same one in a container.
  std::string Here(const std::string& name = "") const;
  std::string InContainer(const std::string& name = "") const;
  static std::string ReadText(const std::string& path);
  static void WriteText(const std::string& path, const std::string& text);
  // Makes `count` files of different sizes in a few directories below Here(name); returns the lines
  // that sha256sum prints for them in a container, sorted.
  std::vector<std::string> MakeInput(const std::string& name, int count = 60) const;

  // Runs pxfs-job; its standard output, standard error and status.
  static Outcome Job(const Argv& arguments);
  static Outcome JobAs(unsigned uid, const Argv& arguments);
  // submit --parsable with these arguments; the id. 0, and a failure, where it is refused.
  static uint64_t Submit(const Argv& arguments);
  static Outcome WaitFor(uint64_t id);
  static nlohmann::json Show(uint64_t id);
  // Waits until `show --json` satisfies the condition.
  static nlohmann::json Await(uint64_t id, const std::function<bool(const nlohmann::json&)>& holds);
  static nlohmann::json AwaitState(uint64_t id, const std::string& state);
  // Waits until the file exists.
  static void AwaitFile(const std::string& path);

  // Everything of this cluster's jobs that is on the machine: processes, containers, cgroups, run
  // directories, mounts in any namespace, views and staged files.
  static std::vector<std::string> Leftovers();
  // The prefix of containers' and cgroups' names of this cluster.
  static std::string ContainerPrefix();
  static std::string RunDirectory();

 private:
  // Cancels every job that there is, and waits for their ends.
  static void EndJobs();

  static std::unique_ptr<MountedCluster> cluster_;
  std::string directory_;
};

}  // namespace pxfs::test
