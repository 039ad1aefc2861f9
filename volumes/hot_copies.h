// HotCopies: looks at the heat of files every second, asks the rule (volumes/hot_rule.h) which of
// them shall have further copies, records what it says (volumes/hot_record.h), and puts the files
// into the queue of copies, in one transaction. The replicator does the rest.
//
// Thread-safe. One per cluster: where the store is hosted.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "meta/service.h"
#include "volumes/heat_table.h"
#include "volumes/hot_record.h"
#include "volumes/hot_rule.h"

namespace pxfs::volumes {

class HotCopies {
 public:
  static constexpr std::chrono::seconds kInterval{1};
  // Files that can be hot at a time.
  static constexpr size_t kMost = 4096;

  // Works in a thread of its own from here to its destruction. The references outlive it.
  static Result<std::unique_ptr<HotCopies>> Start(meta::MetadataService& metadata, HeatTable& heat,
                                                  const HotRuleOptions& options);
  ~HotCopies();
  HotCopies(const HotCopies&) = delete;
  HotCopies& operator=(const HotCopies&) = delete;

 private:
  using Copies = std::map<VolumeId, HotRecord>;  // of one file

  HotCopies(meta::MetadataService& metadata, HeatTable& heat, const HotRuleOptions& options)
      : metadata_(metadata), heat_(heat), rule_(options) {}
  Status Load();
  void Loop();
  Status Look();
  // Null: there is no such file any more.
  Result<std::unique_ptr<HotFile>> Describe(const std::vector<meta::VolumeInfo>& volumes,
                                            InodeId inode);
  Status Obey(const std::vector<HotDecision>& decisions);

  meta::MetadataService& metadata_;
  HeatTable& heat_;
  HotRule rule_;
  std::map<InodeId, Copies> records_;  // as in the store
  std::mutex mutex_;                   // guards stopping_
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace pxfs::volumes
