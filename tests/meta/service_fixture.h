// A metadata service over each engine, for tests of its operations: fixed clock, one volume,
// reopening.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "meta/check.h"
#include "meta/keys.h"
#include "meta/leveldb_engine.h"
#include "meta/local_service_impl.h"
#include "meta/memory_engine.h"
#include "meta/schema.h"

namespace pxfs::meta {

// The value, or a failed test and a default.
template <typename T>
T Value(Result<T> result, const char* what = "") {
  if (!result) {
    ADD_FAILURE() << what << result.error().message();
    return T();
  }
  return std::move(*result);
}

template <typename T>
Code CodeOf(const Result<T>& result) {
  return result ? Code{} : result.error().code();
}

template <typename T>
testing::AssertionResult IsOk(const char* expression, const Result<T>& result) {
  if (result) return testing::AssertionSuccess();
  return testing::AssertionFailure() << expression << ": " << result.error().message();
}

#define EXPECT_OK(expression) EXPECT_PRED_FORMAT1(IsOk, expression)
#define EXPECT_CODE(code, expression) EXPECT_EQ(code, CodeOf(expression)) << #expression

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pxfs-meta-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no scratch directory";
    path_ = pattern;
  }
  ~ScratchDirectory() {
    std::error_code ignored;  // nothing depends on it being gone
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

enum class EngineKind { kMemory, kLevelDb };

class ServiceTest : public testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    auto engine = OpenEngine(true);
    ASSERT_TRUE(FormatStore(*engine, now_));
    engine.reset();
    Start();
    VolumeInfo volume;
    volume.name = "v1";
    volume.path = "/v1";
    volume_ = Value(service_->AddVolume(volume)).id;
    ReportVolume();
    ctx_.session = OpenSession("test");
  }

  // Whatever a test did, the store is sound after it.
  void TearDown() override {
    if (!sound_) return;
    service_.reset();
    EXPECT_EQ(Problems(), std::vector<std::string>());
  }
  // While the service is closed.
  std::vector<std::string> Problems() {
    return Value(CheckStore(*OpenEngine(), {options_.store.name_hash}), "check ");
  }

  std::unique_ptr<KvEngine> OpenEngine(bool create = false) {
    if (GetParam() == EngineKind::kMemory) return std::make_unique<MemoryEngine>(disk_);
    return Value(OpenLevelDb(directory_.path() + "/db", create));
  }

  void Start() {
    ServiceOptions options = options_;
    options.store.clock = [this] { return now_; };
    service_ = Value(LocalService::Open(OpenEngine(), options, {}));
    ASSERT_NE(service_, nullptr);
  }
  void ReportVolume() {
    EXPECT_OK(service_->ReportVolume({volume_, true, false, 1ull << 40, 1ull << 39, ""}));
  }
  // As another process would: what was in memory is gone.
  void Reopen() {
    service_.reset();
    Start();
    ReportVolume();
  }

  SessionId OpenSession(const std::string& name, CacheListener* listener = nullptr) {
    return Value(service_->OpenSession({name, {}, listener}));
  }
  void Tick(int64_t seconds = 1) { now_.seconds += seconds; }

  InodeId MakeDirectory(InodeId parent, const std::string& name, uint32_t mode = 0755) {
    return Value(service_->MakeNode(ctx_, parent, name, {S_IFDIR | mode, 0, 0, ""}), "mkdir ")
        .inode;
  }
  // A closed, empty file.
  InodeId MakeFile(InodeId parent, const std::string& name, uint32_t mode = 0644) {
    const InodeId inode =
        Value(service_->Create(ctx_, parent, name, {S_IFREG | mode, 0, 0, ""}), "create ")
            .attr.inode;
    EXPECT_OK(service_->CloseWrite(ctx_, inode, Content(0)));
    return inode;
  }
  ContentState Content(uint64_t size) const {
    return {size, (size + 511) / 512, now_, now_, now_, std::nullopt};
  }
  Attr Stat(InodeId inode) { return Value(service_->GetAttr(ctx_, inode), "getattr "); }

  CallContext As(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups = {}) const {
    CallContext ctx = ctx_;
    ctx.uid = uid;
    ctx.gid = gid;
    ctx.groups = std::move(groups);
    ctx.check_access = true;
    return ctx;
  }

  ServiceOptions options_;
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  ScratchDirectory directory_;
  Timestamp now_{1'700'000'000, 123'456'789};
  std::unique_ptr<MetadataService> service_;
  VolumeId volume_;
  CallContext ctx_;
  bool sound_ = true;  // false: the test damages the store
};

#define PXFS_BOTH_ENGINES(Suite)                                                  \
  INSTANTIATE_TEST_SUITE_P(                                                       \
      Engines, Suite, testing::Values(EngineKind::kMemory, EngineKind::kLevelDb), \
      [](const auto& info) { return info.param == EngineKind::kMemory ? "Memory" : "LevelDb"; })

}  // namespace pxfs::meta
