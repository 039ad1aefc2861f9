// A mount whose files have copies, and what is to be known of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/crash/store_inspection.h"
#include "tests/support/eventually.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {

inline constexpr std::chrono::seconds kPatience(60);  // for what happens in the background

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// What takes long because it waits for files to be out of use runs in one shape, unless there is
// time for both.
inline std::vector<Shape> ShapesInTime() {
  if (LongRun()) return {Shape::kEmbedded, Shape::kDaemon};
  return {Shape::kEmbedded};
}

class CopiesTest : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override { StartCluster({}); }
  void StartCluster(MountedOptions options) {
    options.shape = GetParam();
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    // The tests look at files so often that they would be hot.
    Pxfs({"policy", "set", mounted_->path(), "hot=off"});
  }
  void TearDown() override {
    if (!mounted_) return;
    EXPECT_STATUS(mounted_->Stop());
    ExpectSound(mounted_->cluster().directory());
  }

  std::string Path(const std::string& name) const { return mounted_->path() + "/" + name; }
  std::string Pxfs(Argv arguments) const {
    arguments.insert(arguments.begin(),
                     {Program("pxfs"), "--cluster", mounted_->cluster().directory()});
    const auto outcome = RunProgram(arguments);
    EXPECT_TRUE(outcome && outcome->status == 0) << (outcome ? outcome->output : "");
    return outcome ? outcome->output : "";
  }
  // What it says when it fails.
  std::string Refused(Argv arguments) const {
    arguments.insert(arguments.begin(),
                     {Program("pxfs"), "--cluster", mounted_->cluster().directory()});
    const auto outcome = RunProgram(arguments);
    EXPECT_TRUE(outcome && outcome->status == 1) << (outcome ? outcome->output : "");
    return outcome ? outcome->output : "";
  }
  nlohmann::json Json(Argv arguments) const {
    arguments.push_back("--json");
    return nlohmann::json::parse(Pxfs(arguments), nullptr, false);
  }
  nlohmann::json Replicas(const std::string& name) const {
    return Json({"where", Path(name)}).at(0).at("replicas");
  }
  // The current replicas of a file; a failure where one of them is not its content.
  std::set<std::string> Volumes(const std::string& name) const {
    std::set<std::string> volumes;
    const std::string content = ReadText(Path(name));
    const nlohmann::json replicas = Replicas(name);
    for (const auto& replica : replicas) {
      // It may have been dropped since.
      if (replica["state"] != "current" || !std::filesystem::exists(std::string(replica["object"])))
        continue;
      volumes.insert(replica["volume"]);
      EXPECT_EQ(ReadText(replica["object"]), content) << replica.dump();
    }
    return volumes;
  }
  // Looked for without reading the file, which would keep a copy that shall go in use.
  void AwaitCopies(const std::string& name, size_t count) const {
    EXPECT_TRUE(Eventually(
        [&] {
          const nlohmann::json replicas = Replicas(name);
          return count == static_cast<size_t>(std::count_if(
                              replicas.begin(), replicas.end(),
                              [](const auto& replica) { return replica["state"] == "current"; }));
        },
        kPatience))
        << Json({"where", Path(name)}).dump(2);
    EXPECT_EQ(Volumes(name).size(), count) << name;
  }
  void AwaitQuiet() const {
    EXPECT_TRUE(Eventually(
        [&] {
          const nlohmann::json state = Json({"status"}).at("replication");
          return state["queued"] == 0 && state["reclaim_queue"] == 0;
        },
        kPatience));
  }
  nlohmann::json Replication() const { return Json({"status"}).at("replication"); }
  bool AwaitState(const std::string& volume, const std::string& state) const {
    return Eventually(
        [&] {
          const nlohmann::json all = Json({"volume", "ls"});
          return std::any_of(all.begin(), all.end(), [&](const auto& listed) {
            return listed["name"] == volume && listed["state"] == state;
          });
        },
        kPatience);
  }
  // The disk of a volume, v1 for 0, is unplugged, and plugged in again.
  void Vanish(size_t index) const {
    const std::string root = mounted_->cluster().volumes()[index];
    std::filesystem::rename(root, root + ".away");
    EXPECT_TRUE(AwaitState("v" + std::to_string(index + 1), "offline"));
  }
  void Return(size_t index) const {
    const std::string root = mounted_->cluster().volumes()[index];
    std::filesystem::rename(root + ".away", root);
    EXPECT_TRUE(AwaitState("v" + std::to_string(index + 1), "online"));
  }
  uint64_t ObjectsOn(const std::string& volume) const {
    const nlohmann::json all = Json({"volume", "ls"});
    for (const auto& listed : all)
      if (listed["name"] == volume) return listed["objects"];
    return ~0ull;
  }

  std::unique_ptr<MountedCluster> mounted_;
};

}  // namespace pxfs::test
