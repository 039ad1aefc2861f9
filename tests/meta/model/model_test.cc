// Random operations on the metadata service beside an oracle, in both shapes.
//
// A failure is shrunk and printed with its seed. To run it again: RC_PARAMS="seed=..."
// meta_model_test.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "base/logging.h"
#include "tests/meta/model/driver.h"
#include "tests/meta/service_fixture.h"

namespace pxfs::meta::model {
namespace {

constexpr size_t kSequences = 60;
constexpr int kMaxLength = 800;
constexpr size_t kLeastOperations = 10'000;

// RapidCheck reads its parameters once, from the environment.
void SetParameters() {
  std::string parameters = "max_success=" + std::to_string(kSequences);
  if (const char* given = std::getenv("RC_PARAMS")) {
    parameters += std::string(" ") + given;
  } else {
    std::random_device random;
    parameters += " seed=" + std::to_string(uint64_t{random()} << 32 | random());
  }
  ::setenv("RC_PARAMS", parameters.c_str(), 1);
  std::cout << "RC_PARAMS=\"" << parameters << "\"" << std::endl;
}

class ModelTest : public testing::TestWithParam<Shape> {
 protected:
  static void SetUpTestSuite() {
    given_ = std::getenv("RC_PARAMS") != nullptr;
    SetParameters();
    // Hundreds of stores are made, and none needs to outlive a power cut.
    if (!std::getenv("TMPDIR") && ::access("/dev/shm", W_OK) == 0)
      ::setenv("TMPDIR", "/dev/shm", 1);
    // Every reopening breaks connections, as it should.
    ASSERT_TRUE(InitLogging({.file = "", .level = "error"}));
  }

  static bool given_;  // the caller has chosen the parameters
};
bool ModelTest::given_ = false;

// Throws Difference.
void RunAll(Shape shape, const std::vector<Operation>& operations) {
  ScratchDirectory scratch;
  Driver driver(shape, scratch.path());
  for (const Operation& operation : operations) driver.Run(operation);
  driver.Finish();
}

TEST_P(ModelTest, BehavesAsTheOracle) {
  size_t run = 0;
  const bool passed = rc::check(std::string("metadata service, ") + ToString(GetParam()), [&] {
    const auto operations = *rc::gen::resize(kMaxLength, rc::gen::container<std::vector<Operation>>(
                                                             rc::gen::resize(100, AnyOperation())));
    try {
      RunAll(GetParam(), operations);
    } catch (const Difference& difference) {
      RC_FAIL(difference.what());
    }
    run += operations.size();
  });
  EXPECT_TRUE(passed);
  // Unless somebody has asked for less.
  if (passed && !given_) {
    EXPECT_GE(run, kLeastOperations);
  }
  std::cout << run << " operations" << std::endl;
}

TEST_P(ModelTest, SequencesThatOnceFailed) {
  using O = Operation;
  const std::vector<Operation> sequences[] = {
      // A removed directory left its policy behind.
      {{O::kMakeDirectory}, {O::kSetPolicy, 16, 1}, {O::kRemoveDirectory}},
  };
  for (const auto& sequence : sequences) {
    EXPECT_NO_THROW(RunAll(GetParam(), sequence));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ModelTest,
                         testing::Values(Shape::kLocal, Shape::kRemote, Shape::kColliding),
                         [](const auto& info) { return ToString(info.param); });

}  // namespace
}  // namespace pxfs::meta::model
