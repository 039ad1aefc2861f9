// pxfs copies get|set
#include <cstdio>

#include "cli/byte_size.h"
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

// Times may end in s, m, h or d, and rates in what sizes end in.
Result<std::string> PlainNumber(const std::string& key, const std::string& value) {
  if (key == "rate" || key == "scrub-rate") {
    PXFS_ASSIGN(const uint64_t bytes, ParseByteSize(value));
    return std::to_string(bytes);
  }
  if ((key != "grace" && key != "scrub" && key != "commit-timeout") || value.size() < 2)
    return value;
  uint64_t unit = 0;
  switch (value.back()) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 24 * 3600;
      break;
    default:
      return value;
  }
  const std::string number = value.substr(0, value.size() - 1);
  if (number.size() > 9 || number.find_first_not_of("0123456789") != std::string::npos)
    return Fail(Code::kInvalid, key + "=" + value + ": want a time such as 90s, 10m, 2h or 1d");
  return std::to_string(std::stoull(number) * unit);
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
