// Files that are wanted by many get further copies by themselves, and lose them when they are so no
// more, on a mount in use.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/unique_fd.h"
#include "tests/crash/store_inspection.h"
#include "tests/support/eventually.h"
#include "tests/support/heat_half_life.h"
#include "tests/support/mounted_cluster.h"

namespace pxfs::test {
namespace {

constexpr std::chrono::seconds kSoon(10);      // from hot to copied
constexpr std::chrono::seconds kPatience(60);  // for what else happens in the background
namespace stdfs = std::filesystem;

// One cluster for all: heat halves every second instead of every minute, and surplus copies go a
// second after they were needed last.
class HotCopiesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    MountedOptions options;
    options.options = "hot_cool_down=1";
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    ASSERT_STATUS(RestartWithHalfLife(*mounted_, 1));
  }
  static void TearDownTestSuite() {
    if (!mounted_) return;
    EXPECT_STATUS(mounted_->Stop());
    ExpectSound(mounted_->cluster().directory());
    mounted_.reset();
  }

  static std::string Path(const std::string& name) { return mounted_->path() + "/" + name; }
  static std::string ReadText(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  static std::string Content(char letter) { return std::string(2 << 20, letter); }
  static void Write(const std::string& name, char letter) {
    std::ofstream(Path(name), std::ios::binary) << Content(letter);
  }
  static void Want(const std::string& name, char letter) {
    for (int i = 0; i < 40; ++i) EXPECT_TRUE(ReadText(Path(name)) == Content(letter));
  }
  static nlohmann::json Json(Argv arguments) {
    arguments.insert(arguments.begin(),
                     {Program("pxfs"), "--cluster", mounted_->cluster().directory()});
    arguments.push_back("--json");
    const auto outcome = RunProgram(arguments);
    EXPECT_TRUE(outcome && outcome->status == 0) << (outcome ? outcome->output : "");
    return outcome ? nlohmann::json::parse(outcome->output, nullptr, false) : nlohmann::json();
  }
  static void SetPolicy(const std::string& directory, const std::string& policy) {
    const auto outcome = RunProgram({Program("pxfs"), "policy", "set", Path(directory), policy});
    EXPECT_TRUE(outcome && outcome->status == 0) << (outcome ? outcome->output : "");
  }
  // The number of current replicas; a failure where one of them is not the content.
  static size_t Copies(const std::string& name, char letter) {
    size_t copies = 0;
    const nlohmann::json info = Json({"info", Path(name)});
    for (const auto& replica : info["replicas"]) {
      if (replica["state"] != "current") continue;
      // It may go meanwhile.
      const std::string text = ReadText(replica["object"]);
      EXPECT_TRUE(text == Content(letter) || text.empty()) << replica.dump();
      ++copies;
    }
    return copies;
  }
  static bool AwaitCopies(const std::string& name, char letter, size_t copies,
                          std::chrono::seconds limit) {
    return Eventually([&] { return Copies(name, letter) == copies; }, limit);
  }
  static bool AwaitQuiet() {
    return Eventually(
        [] {
          const nlohmann::json state = Json({"status"}).at("replication");
          return state["queued"] == 0 && state["reclaim_queue"] == 0;
        },
        kPatience);
  }

  static std::unique_ptr<MountedCluster> mounted_;
};
std::unique_ptr<MountedCluster> HotCopiesTest::mounted_;

// One story, since what takes time is to wait for heat to pass.
TEST_F(HotCopiesTest, ComeWithinSecondsAndGoAgainAsPoliciesSay) {
  Write("f", 'a');
  Write("other", 'o');
  for (const char* directory : {"off", "two", "both"}) {
    ASSERT_TRUE(stdfs::create_directory(Path(directory)));
    Write(std::string(directory) + "/f", 'a');
  }
  SetPolicy("off", "hot=off");
  SetPolicy("two", "max-copies=2");
  for (const char* file : {"off/f", "two/f", "both/f", "f"}) Want(file, 'a');
  EXPECT_TRUE(AwaitCopies("f", 'a', 3, kSoon));
  EXPECT_TRUE(AwaitCopies("both/f", 'a', 3, kSoon));
  EXPECT_TRUE(AwaitCopies("two/f", 'a', 2, kSoon));
  EXPECT_EQ(Copies("off/f", 'a'), 1u);
  EXPECT_EQ(Copies("other", 'o'), 1u);
  // Why, and that it survives whoever decided it.
  const nlohmann::json info = Json({"info", Path("f")});
  ASSERT_EQ(info["hot_copies"].size(), 2u) << info.dump(2);
  EXPECT_NE(info["hot_copies"][0]["why"].get<std::string>().find("opens"), std::string::npos);
  EXPECT_EQ(info["heat"]["half_life_seconds"], 1);
  const nlohmann::json listed = Json({"hot"}).at("files");
  const auto found = std::find_if(listed.begin(), listed.end(),
                                  [](const auto& file) { return file["path"] == "/f"; });
  ASSERT_NE(found, listed.end());
  EXPECT_EQ((*found)["copies"], 3);
  EXPECT_EQ((*found)["hot_copies"], info["hot_copies"]);
  ASSERT_STATUS(mounted_->Kill());
  ASSERT_STATUS(mounted_->Restart());
  EXPECT_EQ(Json({"info", Path("f")})["hot_copies"].size(), 2u);
  // A policy that asks for what is there for heat makes it stay.
  SetPolicy("both", "copies=3");
  SetPolicy("two", "hot=off");
  for (const char* file : {"f", "two/f"}) EXPECT_TRUE(AwaitCopies(file, 'a', 1, kPatience)) << file;
  for (const char* file : {"f", "two/f", "both/f"})
    EXPECT_TRUE(Eventually(
        [&] {
          return Json({"info", Path(file)})["hot_copies"].empty();
        },
        kPatience))
        << file;
  EXPECT_TRUE(AwaitQuiet());
  EXPECT_EQ(Copies("both/f", 'a'), 3u);
  EXPECT_TRUE(ReadText(Path("f")) == Content('a'));
}

TEST_F(HotCopiesTest, AreNeverOfThePast) {
  Write("written", 'a');
  Want("written", 'a');
  EXPECT_TRUE(AwaitCopies("written", 'a', 3, kSoon));
  for (char letter = 'b'; letter < 'f'; ++letter) {
    Write("written", letter);
    Want("written", letter);
    EXPECT_GE(Copies("written", letter), 1u);
  }
  // What is removed leaves nothing.
  ASSERT_TRUE(stdfs::remove(Path("written")));
  EXPECT_TRUE(AwaitQuiet());
}

// The mount counts, and pxfsd decides.
TEST(HotCopiesOfADaemonTest, ComeWithinSeconds) {
  MountedOptions options;
  options.shape = Shape::kDaemon;
  auto mounted = MountedCluster::Start(options);
  ASSERT_TRUE(mounted) << mounted.error().message();
  const std::string file = (*mounted)->path() + "/f";
  const std::string content(2 << 20, 'd');
  ASSERT_STATUS(WriteFileAtomically(file, content));
  for (int i = 0; i < 40; ++i) {
    const auto text = ReadFile(file);
    ASSERT_TRUE(text && *text == content);
  }
  EXPECT_TRUE(Eventually(
      [&] {
        const auto outcome = RunProgram({Program("pxfs"), "where", file, "--json"});
        if (!outcome) return false;
        const auto json = nlohmann::json::parse(outcome->output, nullptr, false);
        return json.is_array() && json.at(0).at("replicas").size() == 3;
      },
      kSoon));
  EXPECT_STATUS((*mounted)->Stop());
}

}  // namespace
}  // namespace pxfs::test
