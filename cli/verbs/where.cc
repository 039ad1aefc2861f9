#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "cli/output.h"
#include "cli/tree_files.h"
#include "cli/verbs/verbs.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

struct Options {
  std::vector<std::string> paths;
  bool recursive = false, long_form = false, lost = false;
};

class Where {
 public:
  Where(Cluster& cluster, const Command& command, const Options& options)
      : cluster_(cluster), json_(command.json), options_(options) {
    if (json_) std::printf("[");
    // What is copied while the list is printed may be missing from it.
    if (const auto statistics = cluster.metadata().GetStatistics())
      under_way_ = statistics->copying.under_way;
  }

  Status Show(const std::string& argument) {
    return ForEachFile(
        cluster_, argument, options_.recursive,
        [this](InodeId inode, const std::string& path) { return ShowFile(inode, path); });
  }

  void End() {
    if (json_) std::printf("%s]\n", first_ ? "" : "\n");
  }

 private:
  Status ShowFile(InodeId inode, const std::string& path) {
    PXFS_ASSIGN(meta::Location location, cluster_.metadata().Locate(ctx_, inode));
    volumes::AddCopiesUnderWay(location, under_way_);
    const nlohmann::json json = volumes::LocationJson(location, cluster_.volumes(), path);
    if (options_.lost && HasCopy(json)) return {};
    if (json_)
      std::printf("%s\n%s", first_ ? "" : ",",
                  json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    else
      Print(json, location, path);
    first_ = false;
    return {};
  }

  // One that can be read.
  static bool HasCopy(const nlohmann::json& json) {
    const auto& replicas = json["replicas"];
    return std::any_of(replicas.begin(), replicas.end(),
                       [](const auto& replica) { return replica["state"] == "current"; });
  }

  void Print(const nlohmann::json& json, const meta::Location& location,
             const std::string& path) const {
    if (options_.long_form) {
      std::printf("%s  inode %lu, %s, generation %lu\n", OneLine(path).c_str(),
                  location.attr.inode.value, FormatBytes(location.attr.size_bytes).c_str(),
                  location.attr.generation);
    }
    size_t i = 0;
    for (const nlohmann::json& replica : json["replicas"]) {
      const std::string where =
          replica["node"].get<std::string>() + "  " + replica["volume"].get<std::string>();
      const std::string object = OneLine(replica["object"].get<std::string>());
      std::string state = replica["state"];
      if (replica.contains("copied"))
        state += " (" + FormatBytes(replica["copied"].get<uint64_t>()) + " so far)";
      const auto& checksum = location.replicas[i++].checksum;
      if (!options_.long_form) {
        std::printf("%s  %s  %s%s\n", OneLine(path).c_str(), where.c_str(), object.c_str(),
                    state == "current" ? "" : ("  " + state).c_str());
      } else {
        std::printf("    %s  %s  %s%s  %s\n", where.c_str(), object.c_str(), state.c_str(),
                    replica["primary"].get<bool>() ? ", primary" : "",
                    checksum ? ("xxh3:" + ToString(*checksum)).c_str() : "no checksum");
      }
    }
  }

  Cluster& cluster_;
  const bool json_;
  const Options& options_;
  const meta::CallContext ctx_ = CallerContext();
  std::vector<meta::ObjectRef> under_way_;
  bool first_ = true;
};

Result<int> Run(const Command& command, const Options& options) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command, options.paths.front()));
  Where where(*cluster, command, options);
  int status = kOk;
  for (const std::string& path : options.paths) {
    if (const Status shown = where.Show(path); !shown) {
      PrintError("where", shown.error().message());
      status = kFailed;
    }
  }
  where.End();
  return status;
}

}  // namespace

void AddWhere(CLI::App& app, Command& command) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = AddVerb(app, command, "where", "Which node, volume and object hold a file",
                           [&command, options] { return Run(command, *options); });
  verb->add_option("PATH", options->paths, "Paths inside a mount, or pxfs:/PATH")->required();
  verb->add_flag("-r,--recursive", options->recursive, "Everything below a directory");
  verb->add_flag("-l,--long", options->long_form,
                 "Inode, size, generation, state and checksum too");
  verb->add_flag("--lost", options->lost,
                 "Only files of which no copy is there: they cannot be read");
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
