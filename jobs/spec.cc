#include "jobs/spec.h"

#include <sys/types.h>

#include <charconv>
#include <climits>

#include "base/quantities.h"

namespace pxfs::jobs {
namespace {

constexpr uint32_t kDefaultPriority = 50;
constexpr uint64_t kDefaultTmpBytes = 256 << 20;
constexpr uint32_t kMostPriority = 100;
constexpr uint32_t kMostRetries = 100;
constexpr int kMostPaths = 1000;
constexpr size_t kMostNameBytes = 128;
// Less than this and no program starts in the container.
constexpr uint64_t kLeastMemoryBytes = 6 << 20;

Result<uint64_t> ParseNumber(std::string_view text, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' is not a number from " +
                                    std::to_string(least) + " to " + std::to_string(most));
  }
  return number;
}

Result<bool> ParseBool(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "no" || text == "off") return false;
  return Fail(Code::kInvalid, "'" + std::string(text) + "' is neither true nor false");
}

Result<std::pair<std::string, std::string>> ParseKeyValue(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' is not KEY=VALUE");
  }
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

Status SetSplit(proto::JobSpec& spec, std::string_view value) {
  if (value == "files") {
    spec.set_split(proto::SPLIT_FILES);
  } else if (value == "volumes") {
    spec.set_split(proto::SPLIT_VOLUMES);
  } else {
    const auto count = ParseNumber(value, 1, kMaxTasks);
    if (!count) {
      return Fail(Code::kInvalid, "'" + std::string(value) +
                                      "' is not files, volumes or a number from 1 to " +
                                      std::to_string(kMaxTasks));
    }
    spec.set_split(proto::SPLIT_COUNT);
    spec.set_split_count(static_cast<uint32_t>(*count));
  }
  return {};
}

Status SetFastPath(proto::JobSpec& spec, std::string_view value) {
  if (value == "auto") {
    spec.set_fast_path(proto::FAST_PATH_AUTO);
  } else if (value == "require") {
    spec.set_fast_path(proto::FAST_PATH_REQUIRE);
  } else if (value == "off") {
    spec.set_fast_path(proto::FAST_PATH_OFF);
  } else {
    return Fail(Code::kInvalid, "'" + std::string(value) + "' is not auto, require or off");
  }
  return {};
}

// SRC:DST[:ro|:rw]
Status AddBind(proto::JobSpec& spec, std::string_view value) {
  const std::string shown(value);
  bool read_only = false;
  if (value.ends_with(":ro") || value.ends_with(":rw")) {
    read_only = value.ends_with(":ro");
    value.remove_suffix(3);
  }
  const size_t colon = value.find(':');
  if (colon == std::string_view::npos || value[0] != '/' || colon + 1 >= value.size() ||
      value[colon + 1] != '/' || value.find(':', colon + 1) != std::string_view::npos) {
    return Fail(Code::kInvalid, "'" + shown + "' is not SRC:DST[:ro] with absolute paths");
  }
  auto& bind = *spec.add_binds();
  bind.set_source(std::string(value.substr(0, colon)));
  bind.set_destination(std::string(value.substr(colon + 1)));
  bind.set_read_only(read_only);
  return {};
}

Status AddDependency(proto::JobSpec& spec, std::string_view value) {
  constexpr std::string_view kKind = "afterok:";
  if (!value.starts_with(kKind)) {
    return Fail(Code::kInvalid, "'" + std::string(value) + "' is not afterok:ID[:ID...]");
  }
  value.remove_prefix(kKind.size());
  while (true) {
    const size_t colon = std::min(value.find(':'), value.size());
    PXFS_ASSIGN(const uint64_t id, ParseNumber(value.substr(0, colon), 1, INT64_MAX));
    spec.add_after_ok(id);
    if (colon == value.size()) return {};
    value.remove_prefix(colon + 1);
  }
}

struct Field {
  std::string_view name;
  bool repeated;
  Status (*set)(proto::JobSpec&, std::string_view);
};

const Field kFields[] = {
    {"name", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       s.set_name(std::string(v));
       return {};
     }},
    {"command", true,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       s.add_command(std::string(v));
       return {};
     }},
    {"image", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       s.set_image(std::string(v));
       return {};
     }},
    {"input", true,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       s.add_inputs(std::string(v));
       return {};
     }},
    {"output", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       s.set_output(std::string(v));
       return {};
     }},
    {"split", false, SetSplit},
    {"env", true,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const auto pair, ParseKeyValue(v));
       (*s.mutable_env())[pair.first] = pair.second;
       return {};
     }},
    {"workdir", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       s.set_workdir(std::string(v));
       return {};
     }},
    {"cpus", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const double cpus, ParseCpus(v));
       s.set_cpus(cpus);
       return {};
     }},
    {"memory", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const uint64_t bytes, ParseSize(v));
       s.set_memory_bytes(bytes);
       return {};
     }},
    {"tmp", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const uint64_t bytes, ParseSize(v));
       s.set_tmp_bytes(bytes);
       return {};
     }},
    {"time", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const auto limit, ParseDuration(v));
       if (limit < std::chrono::milliseconds(1))
         return Fail(Code::kInvalid, "'" + std::string(v) + "' is no time to run in");
       s.set_time_limit_ms(static_cast<uint64_t>(limit.count()));
       return {};
     }},
    {"retries", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const uint64_t retries, ParseNumber(v, 0, kMostRetries));
       s.set_retries(static_cast<uint32_t>(retries));
       return {};
     }},
    {"priority", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const uint64_t priority, ParseNumber(v, 0, kMostPriority));
       s.set_priority(static_cast<uint32_t>(priority));
       return {};
     }},
    {"hold", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const bool hold, ParseBool(v));
       s.set_hold(hold);
       return {};
     }},
    {"network", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       if (v != "none" && v != "host") {
         return Fail(Code::kInvalid, "'" + std::string(v) + "' is not none or host");
       }
       s.set_host_network(v == "host");
       return {};
     }},
    {"fastpath", false, SetFastPath},
    {"volume", true, AddBind},
    {"label", true,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const auto pair, ParseKeyValue(v));
       (*s.mutable_labels())[pair.first] = pair.second;
       return {};
     }},
    {"dependency", true, AddDependency},
    {"result-copies", false,
     [](proto::JobSpec& s, std::string_view v) -> Status {
       PXFS_ASSIGN(const uint64_t copies, ParseNumber(v, 1, UINT32_MAX));
       s.set_result_copies(static_cast<uint32_t>(copies));
       return {};
     }},
};

const Field* FindField(std::string_view name) {
  for (const Field& field : kFields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

Status CheckNamespacePath(const std::string& what, const std::string& path) {
  if (path.size() >= PATH_MAX) return Fail(Code::kInvalid, what + ": the path is too long");
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) {
    return Fail(Code::kInvalid, what + " '" + path + "' is not an absolute path of the namespace");
  }
  if (path == "/") return {};
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") {
      return Fail(Code::kInvalid, what + " '" + path + "' has an empty, '.' or '..' part");
    }
    begin = end + 1;
  }
  return {};
}

Status CheckContainerPath(const std::string& what, const std::string& path) {
  if (path.empty() || path[0] != '/' || path.size() >= PATH_MAX ||
      (path + "/").find("/../") != std::string::npos) {
    return Fail(Code::kInvalid, what + " '" + path + "' is not an absolute path without '..'");
  }
  return {};
}

Status CheckInputs(const proto::JobSpec& spec) {
  if (spec.inputs_size() > kMostPaths) {
    return Fail(Code::kInvalid, "more than " + std::to_string(kMostPaths) + " inputs");
  }
  for (int i = 0; i < spec.inputs_size(); ++i) {
    PXFS_TRY(CheckNamespacePath("input", spec.inputs(i)));
    for (int j = 0; j < i; ++j) {
      if (IsAtOrBelow(spec.inputs(i), spec.inputs(j)) ||
          IsAtOrBelow(spec.inputs(j), spec.inputs(i))) {
        return Fail(Code::kInvalid, "inputs '" + spec.inputs(j) + "' and '" + spec.inputs(i) +
                                        "' overlap; name the upper one only");
      }
    }
  }
  return {};
}

bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

}  // namespace

proto::JobSpec DefaultSpec() {
  proto::JobSpec spec;
  spec.set_image("host");
  spec.set_cpus(1);
  spec.set_priority(kDefaultPriority);
  spec.set_tmp_bytes(kDefaultTmpBytes);
  return spec;
}

bool IsRepeated(std::string_view name) {
  const Field* field = FindField(name);
  return field && field->repeated;
}

Status SetField(proto::JobSpec& spec, std::string_view name, std::string_view value) {
  const Field* field = FindField(name);
  if (!field) return Fail(Code::kInvalid, "unknown field '" + std::string(name) + "'");
  if (auto set = field->set(spec, value); !set) return Fail(set.error().WithContext(name));
  return {};
}

Status ReadEnvironment(std::string_view text, proto::JobSpec& spec) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos || line[0] == '#') continue;
    PXFS_TRY(SetField(spec, "env", line));
  }
  return {};
}

Status CheckSpec(const proto::JobSpec& spec) {
  if (spec.ByteSizeLong() > kMaxSpecBytes) {
    return Fail(Code::kInvalid, "the job's description is larger than 1 MiB");
  }
  if (spec.command_size() == 0 || spec.command(0).empty()) {
    return Fail(Code::kInvalid,
                "no command: say what to run, as in 'pxfs-job submit -- CMD ARG...'");
  }
  for (const auto& word : spec.command()) {
    if (HasNul(word)) return Fail(Code::kInvalid, "the command contains a NUL byte");
  }
  if (spec.name().size() > kMostNameBytes) return Fail(Code::kInvalid, "the name is too long");
  if (spec.image().empty()) return Fail(Code::kInvalid, "the image is empty");
  PXFS_TRY(CheckInputs(spec));
  if (!spec.output().empty()) {
    PXFS_TRY(CheckNamespacePath("output", spec.output()));
    if (spec.output() == "/")
      return Fail(Code::kInvalid, "output '/' exists; name a new directory");
  }
  if (spec.result_copies() != 0 && spec.output().empty())
    return Fail(Code::kInvalid, "--result-copies needs an --output to copy");
  if (spec.split() != proto::SPLIT_NONE && spec.inputs_size() == 0) {
    return Fail(Code::kInvalid, "--split needs an --input to split");
  }
  if (spec.split() == proto::SPLIT_COUNT &&
      (spec.split_count() < 1 || spec.split_count() > kMaxTasks)) {
    return Fail(Code::kInvalid, "--split takes 1 to " + std::to_string(kMaxTasks) + " tasks");
  }
  if (!(spec.cpus() > 0)) return Fail(Code::kInvalid, "cpus must be above 0");
  if (spec.priority() > kMostPriority) return Fail(Code::kInvalid, "priority is 0 to 100");
  if (spec.retries() > kMostRetries) return Fail(Code::kInvalid, "retries is 0 to 100");
  if (spec.memory_bytes() != 0 && spec.memory_bytes() < kLeastMemoryBytes) {
    return Fail(Code::kInvalid, "memory must be at least 6M");
  }
  if (!spec.workdir().empty()) PXFS_TRY(CheckContainerPath("workdir", spec.workdir()));
  for (const auto& bind : spec.binds()) {
    PXFS_TRY(CheckContainerPath("volume source", bind.source()));
    PXFS_TRY(CheckContainerPath("volume destination", bind.destination()));
  }
  for (const auto& [key, value] : spec.env()) {
    if (key.empty() || key.find('=') != std::string::npos || HasNul(key) || HasNul(value)) {
      return Fail(Code::kInvalid, "env: '" + key + "' is not a variable's name");
    }
  }
  return {};
}

bool IsAtOrBelow(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace pxfs::jobs
