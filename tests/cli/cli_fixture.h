// The real `pxfs` program on a cluster of the test's own.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/cluster.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"

namespace pxfs::test {

class CliTest : public testing::Test {
 protected:
  // Runs `pxfs` with these arguments, and with PXFS_CLUSTER naming the test's cluster.
  Outcome Pxfs(const Argv& arguments) { return PxfsWith({"PXFS_CLUSTER=" + cluster_}, arguments); }
  Outcome PxfsWith(const Environment& environment, Argv arguments) {
    arguments.insert(arguments.begin(), Program("pxfs"));
    const auto outcome = RunApart(arguments, environment);
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().message());
    return outcome ? *outcome : Outcome{-1, "", ""};
  }
  // The same, which must succeed; returns what it printed.
  std::string PxfsOk(const Argv& arguments) {
    const Outcome outcome = Pxfs(arguments);
    EXPECT_EQ(outcome.status, 0) << testing::PrintToString(arguments) << "\n" << outcome.errors;
    return outcome.output;
  }
  nlohmann::json PxfsJson(Argv arguments) {
    arguments.push_back("--json");
    const std::string output = PxfsOk(arguments);
    auto json = nlohmann::json::parse(output, nullptr, /*allow_exceptions=*/false);
    EXPECT_FALSE(json.is_discarded()) << output;
    return json;
  }
  // The same, which must fail with this status and say one line that begins with "pxfs: " and holds
  // all `words`.
  void ExpectRefused(const Argv& arguments, int status, const std::vector<std::string>& words) {
    const Outcome outcome = Pxfs(arguments);
    EXPECT_EQ(outcome.status, status) << testing::PrintToString(arguments) << "\n"
                                      << outcome.output << outcome.errors;
    EXPECT_EQ(outcome.output, "");
    ExpectOneLine(outcome.errors, words);
  }
  static void ExpectOneLine(const std::string& errors, const std::vector<std::string>& words) {
    EXPECT_THAT(errors, testing::StartsWith("pxfs: "));
    EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 1) << errors;
    for (const std::string& word : words) EXPECT_THAT(errors, testing::HasSubstr(word));
  }

  void Format(int volumes = 2) {
    Argv arguments = {"format", cluster_};
    for (int i = 1; i <= volumes; ++i) {
      arguments.push_back("--volume");
      arguments.push_back(Volume(i));
    }
    PxfsOk(arguments);
  }

  // Looks into the cluster from this process; no program may need the store meanwhile.
  std::unique_ptr<cli::Cluster> OpenCluster() {
    auto cluster = cli::Cluster::Open(cluster_, cli::Access::kAny, std::chrono::seconds(20));
    EXPECT_TRUE(cluster) << (cluster ? "" : cluster.error().message());
    return cluster ? std::move(*cluster) : nullptr;
  }

  std::string Volume(int number) const { return scratch_ / ("v" + std::to_string(number)); }
  static void WriteText(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    ASSERT_TRUE(std::filesystem::exists(path)) << path;
  }
  // Names of what is in a directory.
  static std::vector<std::string> Entries(const std::string& directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      names.push_back(entry.path().filename().string());
    return names;
  }

  TemporaryDirectory scratch_;
  const std::string cluster_ = scratch_ / "cluster";
};

}  // namespace pxfs::test
