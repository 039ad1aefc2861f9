// That the comparison can fail: two sides that differ are told apart.

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/mount/scenario.h"
#include "tests/support/temporary_directory.h"

namespace pxfs::test {
namespace {

// Sees something that differs between two directories of one file system.
void SeesWhereItIs(Probe& p) {
  p.Make("a", "x");
  char path[4096];
  p.Note(::getcwd(path, sizeof path) ? path : "?");
}

void Dies(Probe& p) {
  p.Note("before");
  ::raise(SIGKILL);
}

TEST(ComparisonHarness, FindsADifference) {
  const TemporaryDirectory directory;
  ASSERT_EQ(::mkdir((directory / "1").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((directory / "2").c_str(), 0755), 0);
  const Scenario scenario{"Where", SeesWhereItIs};
  const auto first = RunScenario(scenario, directory / "1"),
             second = RunScenario(scenario, directory / "2");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(Differences(*first, *first), "");
  EXPECT_NE(Differences(*first, *second).find("native: " + directory / "1"), std::string::npos);
}

TEST(ComparisonHarness, FindsMissingAndFurtherLines) {
  EXPECT_NE(Differences({"a", "b"}, {"a"}), "");
  EXPECT_NE(Differences({"a"}, {"a", "b"}), "");
  EXPECT_NE(Differences({}, {"a"}), "");
}

TEST(ComparisonHarness, ADyingScenarioIsSeen) {
  const TemporaryDirectory directory;
  const auto lines = RunScenario({"Dies", Dies}, directory.path());
  ASSERT_TRUE(lines);
  ASSERT_FALSE(lines->empty());
  EXPECT_EQ(lines->back(), "the scenario ended with wait status 9");
}

TEST(Probe, SeesAttributesContentAndErrors) {
  const TemporaryDirectory directory;
  const auto lines = RunScenario({"Probe",
                                  [](Probe& p) {
                                    p.Make("a", "xyz", 0640);
                                    p.Stat("a");
                                    p.Content("a");
                                    p.Link("a", "b");
                                    p.Stat("b");
                                    p.Unlink("missing");
                                    p.Times("a");
                                    p.Tick();
                                    p.Chmod("a", 0600);
                                    p.Times("a");
                                  }},
                                 directory.path());
  ASSERT_TRUE(lines);
  const std::vector<std::string> expected = {
      "open 'a' WRONLY|CREAT|TRUNC 0640 = ok",
      "write 'xyz' = 3",
      "close = ok",
      "stat 'a' = #0 file 0640 nlink 1 owner 0:0 size 3",
      "content 'a' = 'xyz'",
      "link 'a' 'b' = ok",
      "stat 'b' = #0 file 0640 nlink 2 owner 0:0 size 3",
      "unlink 'missing' = ENOENT",
      "times 'a' = mnew cnew",
      "chmod 'a' 0600 = ok",
      "times 'a' = m= c+",
  };
  EXPECT_EQ(*lines, expected);
}

}  // namespace
}  // namespace pxfs::test
