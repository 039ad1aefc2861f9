// pxfs copies get|set
#include <cstdio>

#include "base/quantities.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"
#include "volumes/copy_settings.h"

namespace pxfs::cli {
namespace {

Result<int> Get(const Command& command) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_ASSIGN(const auto settings, volumes::ReadCopySettings(cluster->metadata()));
  if (command.json) {
    nlohmann::json json;
    for (const volumes::Setting& setting : Describe(settings))
      json[setting.key] = std::stoull(setting.value);
    PrintJson(json);
    return kOk;
  }
  for (const volumes::Setting& setting : Describe(settings))
    std::printf("%s=%s\n", setting.key.c_str(), setting.value.c_str());
  return kOk;
}

// Settings are stored in bytes and seconds.
Result<std::string> PlainNumber(const std::string& key, const std::string& value) {
  if (key == "rate" || key == "scrub-rate") {
    PXFS_ASSIGN(const uint64_t bytes, ParseSize(value));
    return std::to_string(bytes);
  }
  if (key == "grace" || key == "scrub" || key == "commit-timeout") {
    PXFS_ASSIGN(const auto time, ParseDuration(value));
    if (time.count() % 1000 != 0)
      return Fail(Code::kInvalid, key + "=" + value + ": whole seconds are wanted");
    return std::to_string(time.count() / 1000);
  }
  return value;
}

Result<int> Set(const Command& command, const std::vector<std::string>& words) {
  PXFS_ASSIGN(const auto cluster, OpenCluster(command));
  PXFS_ASSIGN(auto settings, volumes::ReadCopySettings(cluster->metadata()));
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return Fail(Code::kInvalid, "'" + word + "': write KEY=VALUE");
    const std::string key = word.substr(0, equals);
    PXFS_ASSIGN(const std::string value, PlainNumber(key, word.substr(equals + 1)));
    PXFS_TRY(volumes::Apply(settings, {key, value}));
  }
  PXFS_TRY(volumes::WriteCopySettings(cluster->metadata(), settings));
  return kOk;
}

}  // namespace

void AddCopiesVerbs(CLI::App& app, Command& command) {
  CLI::App* group = AddVerbGroup(app, command, "copies", "How copies of files are made: get, set");
  CLI::App* get = AddVerb(*group, command, "get", "Show the settings of the cluster",
                          [&command] { return Get(command); });
  AddJsonOption(*get, command);
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* set = AddVerb(*group, command, "set", "Change the settings of the cluster",
                          [&command, words] { return Set(command, *words); });
  set->add_option("KEY=VALUE", *words,
                  "grace=TIME (how long a volume may be away before its files are copied "
                  "elsewhere), rate=SIZE (bytes a second of all copying, 0: no limit), parallel=N, "
                  "commit-timeout=TIME (how long fsync and close wait under commit=close), "
                  "scrub=TIME (how often each object is read and compared, 0: never), "
                  "scrub-rate=SIZE")
      ->required();
}

}  // namespace pxfs::cli
