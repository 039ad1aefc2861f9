// Includes point down only: base <- rpc <- meta, volumes <- fs, jobs <- cli, mount_helpers; and
// each third-party library that must stay replaceable is seen by the folders that adapt it, and by
// nobody else.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace pxfs {
namespace {

namespace filesystem = std::filesystem;

using Folders = std::set<std::string>;

// Which folders each folder may include, besides itself.
const std::map<std::string, Folders> kBelow = {
    {"base", {}},
    {"rpc", {"base"}},
    {"meta", {"base", "rpc"}},
    {"volumes", {"base", "rpc", "meta"}},
    {"fs", {"base", "rpc", "meta", "volumes"}},
    {"jobs", {"base", "rpc", "meta", "volumes"}},
    {"cli", {"base", "rpc", "meta", "volumes", "fs", "jobs"}},
    {"mount_helpers", {"base", "rpc", "meta", "volumes", "fs", "jobs", "cli"}},
};

// Folders that know metadata by its interface alone.
const Folders kThroughTheInterface = {"volumes", "fs", "jobs"};
const Folders kMetadataInterface = {"meta/service.h",    "meta/types.h",        "meta/placement.h",
                                    "meta/copy_queue.h", "meta/lost_volumes.h", "meta/posix_acl.h"};

struct Library {
  std::string prefix;  // of what stands between <> or ""
  Folders folders;
};
const std::vector<Library> kLibraries = {
    {"leveldb/", {"meta"}},        {"fuse", {"fs"}},
    {"linux/fuse.h", {"fs"}},      {"xxhash", {"base", "volumes"}},
    {"xxh3", {"base", "volumes"}},
};

// What `#include` names on this line, or nothing.
std::string Included(const std::string& line) {
  size_t at = line.find_first_not_of(" \t");
  if (at == std::string::npos || line[at] != '#') return "";
  at = line.find_first_not_of(" \t", at + 1);
  if (at == std::string::npos || line.compare(at, 7, "include") != 0) return "";
  const size_t open = line.find_first_of("<\"", at + 7);
  if (open == std::string::npos) return "";
  const size_t close = line.find_first_of(">\"", open + 1);
  return close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

// Why a file of `folder` must not include `header`; empty where it may.
std::string Objection(const std::string& folder, const std::string& header) {
  for (const Library& library : kLibraries) {
    if (header.starts_with(library.prefix) && !library.folders.contains(folder))
      return library.prefix + " is not for " + folder + "/";
  }
  const std::string target = header.substr(0, header.find('/'));
  if (target == header || !kBelow.contains(target) || target == folder) return "";
  if (!kBelow.at(folder).contains(target)) return folder + "/ lies below or beside " + target + "/";
  if (target == "meta" && kThroughTheInterface.contains(folder) &&
      !kMetadataInterface.contains(header))
    return folder +
           "/ knows metadata only by its public headers (service.h, types.h, placement.h, "
           "copy_queue.h, lost_volumes.h, posix_acl.h)";
  return "";
}

bool IsSource(const filesystem::path& path) {
  const std::string extension = path.extension();
  return extension == ".h" || extension == ".cc" || extension == ".c";
}

struct Findings {
  size_t includes = 0;  // looked at
  std::vector<std::string> violations;
};

Findings CheckTree(const filesystem::path& root) {
  Findings findings;
  for (const auto& [folder, below] : kBelow) {
    if (!filesystem::exists(root / folder)) continue;
    for (const auto& entry : filesystem::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !IsSource(entry.path())) continue;
      std::ifstream in(entry.path());
      size_t number = 0;
      for (std::string line; std::getline(in, line);) {
        ++number;
        const std::string header = Included(line);
        if (header.empty()) continue;
        ++findings.includes;
        if (const std::string why = Objection(folder, header); !why.empty())
          findings.violations.push_back(filesystem::relative(entry.path(), root).string() + ":" +
                                        std::to_string(number) + ": includes " + header + ": " +
                                        why);
      }
    }
  }
  return findings;
}

TEST(IncludeArrows, PointDownInThisTree) {
  const char* root = std::getenv("PXFS_SOURCE");
  ASSERT_NE(root, nullptr) << "PXFS_SOURCE must name the source tree (ctest sets it)";
  const Findings findings = CheckTree(root);
  EXPECT_GT(findings.includes, 50u) << "hardly any include found below " << root;
  EXPECT_THAT(findings.violations, testing::IsEmpty());
}

// A tree of one file with one line.
class SampleTree {
 public:
  SampleTree(const std::string& file, const std::string& line) {
    std::string name = filesystem::temp_directory_path() / "pxfs-include-XXXXXX";
    root_ = ::mkdtemp(name.data());
    filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << line << "\n";
  }
  ~SampleTree() { filesystem::remove_all(root_); }
  Findings Check() const { return CheckTree(root_); }

 private:
  filesystem::path root_;
};

struct Sample {
  const char* file;
  const char* line;
};

TEST(IncludeArrows, EveryForbiddenIncludeIsFound) {
  for (const Sample& sample : {
           Sample{"base/a.h", "#include \"rpc/client.h\""},
           Sample{"rpc/a.cc", "#include \"meta/service.h\""},
           Sample{"meta/a.cc", "#include \"volumes/volume.h\""},
           Sample{"meta/ops/a.cc", "#include \"fs/session.h\""},
           Sample{"fs/ops/a.cc", "  #  include \"jobs/service.h\""},
           Sample{"jobs/a.cc", "#include \"fs/session.h\""},
           Sample{"jobs/a.cc", "#include \"cli/cluster.h\""},
           Sample{"volumes/a.cc", "#include \"meta/records.pb.h\""},
           Sample{"volumes/a.cc", "#include \"meta/local_service.h\""},
           Sample{"fs/a.cc", "#include \"meta/engine/engine.h\""},
           Sample{"fs/a.cc", "#include <leveldb/db.h>"},
           Sample{"cli/a.cc", "#include <fuse_lowlevel.h>"},
           Sample{"mount_helpers/a.cc", "#include <fuse3/fuse.h>"},
           Sample{"meta/a.cc", "#include <xxhash.h>"},
       }) {
    EXPECT_EQ(SampleTree(sample.file, sample.line).Check().violations.size(), 1u)
        << sample.file << ": " << sample.line;
  }
}

TEST(IncludeArrows, WhatIsAllowedPasses) {
  for (const Sample& sample : {
           Sample{"rpc/a.cc", "#include \"base/result.h\""},
           Sample{"volumes/a.cc", "#include \"meta/service.h\""},
           Sample{"volumes/a.cc", "#include <xxhash.h>"},
           Sample{"meta/a.cc", "#include <leveldb/db.h>"},
           Sample{"fs/a.cc", "#include <fuse_lowlevel.h>"},
           Sample{"cli/a.cc", "#include \"meta/local_service.h\""},
           Sample{"jobs/a.cc", "// #include \"fs/session.h\" would be wrong"},
       }) {
    const Findings findings = SampleTree(sample.file, sample.line).Check();
    EXPECT_THAT(findings.violations, testing::IsEmpty()) << sample.file << ": " << sample.line;
  }
}

}  // namespace
}  // namespace pxfs
