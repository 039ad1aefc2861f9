#include <cstdio>

#include "base/bytes.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "volumes/location.h"

namespace pxfs::cli {
namespace {

constexpr uint32_t kPage = 1024;

struct Options {
  std::vector<std::string> paths;
  bool recursive = false, long_form = false;
};

class Where {
 public:
  Where(Cluster& cluster, const Command& command, const Options& options)
      : cluster_(cluster), json_(command.json), options_(options) {
    if (json_) std::printf("[");
  }

  Status Show(const std::string& argument) {
    PXFS_ASSIGN(const std::string path, NamespaceArgument(cluster_, argument));
    PXFS_ASSIGN(const meta::Attr attr, ResolveArgument(cluster_, ctx_, argument));
    if (attr.is_regular()) return ShowFile(attr.inode, path);
    if (!attr.is_directory())
      return Fail(Code::kInvalid, argument + ": only regular files have objects");
    if (!options_.recursive)
      return Fail(Code::kIsDirectory, argument + ": is a directory; -r shows what is in it");
    return ShowTree(attr.inode, path == "/" ? "" : path);
  }

  void End() {
    if (json_) std::printf("%s]\n", first_ ? "" : "\n");
  }

 private:
  Status ShowTree(InodeId directory, const std::string& path) {
    uint64_t cookie = 0;
    for (;;) {
      PXFS_ASSIGN(
          const meta::DirPage page,
          cluster_.metadata().ReadDirectory(ctx_, directory, cookie, kPage, /*with_attr=*/false));
      for (const meta::DirEntry& entry : page.entries) {
        const std::string child = path + "/" + entry.name;
        if (entry.attr.is_directory()) PXFS_TRY(ShowTree(entry.attr.inode, child));
        if (!entry.attr.is_regular()) continue;
        const Status shown = ShowFile(entry.attr.inode, child);
        // Removed since it was listed: then it is nowhere.
        if (!shown && shown.error() != Code::kNotFound) return shown;
      }
      if (page.end || page.entries.empty()) return {};
      cookie = page.entries.back().cookie;
    }
  }

  Status ShowFile(InodeId inode, const std::string& path) {
    PXFS_ASSIGN(const meta::Location location, cluster_.metadata().Locate(ctx_, inode));
    const nlohmann::json json = volumes::LocationJson(location, cluster_.volumes(), path);
    if (json_)
      std::printf("%s\n%s", first_ ? "" : ",",
                  json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    else
      Print(json, location, path);
    first_ = false;
    return {};
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
      const std::string state = replica["state"];
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
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
