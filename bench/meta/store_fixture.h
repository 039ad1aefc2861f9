// A metadata store for micro-benchmarks: in a temporary directory ($TMPDIR), with one volume that
// exists on paper only, since the metadata service never touches objects.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "meta/service.h"

namespace pxfs::bench {

// The value of a result, or the end of the program: a benchmark with errors has no result.
template <typename T>
T Must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "meta_bench: %s: %s\n", what, result.error().message().c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// A directory that is removed at the end of its life.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Shared by all service benchmarks and their threads; opened at the first use.
class Store {
 public:
  static constexpr int kFiles = 10'000;

  static Store& Get();

  meta::MetadataService& service() { return *service_; }
  const meta::CallContext& context() const { return context_; }
  InodeId listing() const { return listing_; }  // a directory of 1000 files
  InodeId files() const { return files_; }      // a directory of kFiles files, f0, f1, ...
  InodeId NewDirectory();
  // A file as a program makes it: created, closed.
  InodeId CreateFile(InodeId directory, const std::string& name);
  // What the volume service does with files that were removed.
  void Reclaim();

 private:
  Store();

  TemporaryDirectory directory_;
  std::unique_ptr<meta::MetadataService> service_;
  meta::CallContext context_;
  InodeId listing_, files_;
};

}  // namespace pxfs::bench
