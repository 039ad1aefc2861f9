// Runs operations on a service and on the oracle, and compares.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/meta/deployment.h"
#include "tests/meta/model/operation.h"
#include "tests/meta/model/oracle.h"

namespace pxfs::meta::model {

// The service did what the oracle does not.
class Difference : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Driver {
 public:
  // In an empty directory.
  Driver(Shape shape, const std::string& directory);
  ~Driver();

  // Throws Difference.
  void Run(const Operation& operation);
  // The whole tree, what is orphaned, and the store itself. Nothing can be run afterwards.
  void Finish();

 private:
  class Listener : public CacheListener {
    void Invalidate(std::span<const Invalidation>) override {}
  };
  // A listing in pages, while other operations go on.
  struct Scan {
    InodeId directory;
    uint64_t cookie = 0;
    std::set<std::string> lasting;  // there since the start of the scan
    std::set<std::string> ever;     // there at some time of the scan
    std::multiset<std::string> seen;
  };

  void Dispatch(const Operation& operation);
  void Lookup(const Operation& operation);
  void MakeNode(const Operation& operation);
  void Create(const Operation& operation);
  void CreateNameless(const Operation& operation);
  void Link(const Operation& operation);
  void Remove(const Operation& operation);
  void Rename(const Operation& operation);
  void SetAttr(const Operation& operation);
  void Truncate(const Operation& operation);
  void Xattr(const Operation& operation);
  void ReadLink(const Operation& operation);
  void OpenForWrite(const Operation& operation);
  void Write(const Operation& operation);
  void Forget(const Operation& operation);
  void StepScan(const Operation& operation);
  void SetPolicy(const Operation& operation);
  void GetPolicy(const Operation& operation);
  void Reopen();

  // driver_compare.cc
  void CompareTree();
  void CompareDirectory(InodeId directory, uint32_t page);
  void CompareNode(const Node& node, const Attr& attr);
  void CompareDetails(const Node& node);
  void CompareStatistics();
  void EndScan();

  template <typename T>
  void Expect(Answer expected, const Result<T>& result, const char* what);
  template <typename A, typename B>
  void ExpectEqual(const A& expected, const B& actual, const std::string& what);
  [[noreturn]] void Differ(const std::string& what);
  template <typename T>
  T Must(Result<T> result, const char* what);

  MetadataService& service() { return deployment_->service(); }
  CallContext Context(Session session, uint32_t number = 0) const;
  // Picks: directories mostly, whatever there is sometimes.
  InodeId PickParent(uint32_t number) const;
  InodeId PickAny(uint32_t number) const;
  InodeId PickNonDirectory(uint32_t number) const;
  std::string PickName(InodeId parent, uint32_t number) const;
  ContentState PickContent(const Operation& operation) const;
  void CheckNewId(InodeId id);
  void Touch(InodeId directory, const std::string& name);

  const Shape shape_;
  std::unique_ptr<Deployment> deployment_;
  Listener listener_;
  SessionId sessions_[2];
  VolumeId volume_;
  Oracle oracle_;
  InodeId highest_ = kRootInode;  // no number is used twice
  std::map<InodeId, Timestamp> ctimes_;
  std::optional<Scan> scan_;
  std::string now_;  // the operation, for messages
};

}  // namespace pxfs::meta::model
