// `PATH[,name=N,label=K=V...]`
#include "cli/cluster.h"
#include "cli/paths.h"
#include "cli/volume_names.h"

namespace pxfs::cli {
namespace {

constexpr size_t kMaxName = 64;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

Status ParseOption(const std::string& text, const std::string& option, VolumeArgument& argument) {
  const size_t equals = option.find('=');
  const std::string key = option.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
  if (key == "name") {
    PXFS_TRY(CheckName("volume name", value));
    argument.name = value;
    return {};
  }
  if (key == "label") {
    const size_t inner = value.find('=');
    if (inner == std::string::npos || inner == 0 || inner + 1 == value.size())
      return Fail(Code::kInvalid, text + ": '" + option + "': a label is written label=KEY=VALUE");
    PXFS_TRY(CheckLabel(value.substr(0, inner), value.substr(inner + 1)));
    argument.labels[value.substr(0, inner)] = value.substr(inner + 1);
    return {};
  }
  return Fail(Code::kInvalid, text + ": '" + option +
                                  "': not an option of a volume; there are name=N and label=K=V");
}

}  // namespace

Status CheckName(const std::string& what, const std::string& name) {
  if (name.empty())
    return Fail(Code::kInvalid, what + ": empty; give one of letters, digits, '.', '_', '-'");
  if (name.size() > kMaxName)
    return Fail(Code::kInvalid,
                what + " '" + name + "': longer than " + std::to_string(kMaxName) + " characters");
  for (const char c : name) {
    if (!IsNameCharacter(c))
      return Fail(Code::kInvalid,
                  what + " '" + name + "': only letters, digits, '.', '_' and '-' are allowed");
  }
  return {};
}

Status CheckLabel(const std::string& key, const std::string& value) {
  PXFS_TRY(CheckName("label", key));
  for (const char* taken : {"placement", "pin", "copies", "max-copies", "hot", "passthrough",
                            "commit", "state", "weight", "reserve", "rate", "name"}) {
    if (key == taken)
      return Fail(Code::kInvalid,
                  "label '" + key + "': the word has a meaning of its own; choose another");
  }
  if (value.empty() || value.find_first_of(" \t\n\r,") != std::string::npos)
    return Fail(Code::kInvalid, "label '" + key + "': its value must be a word without commas");
  return {};
}

Result<VolumeArgument> ParseVolumeArgument(const std::string& text) {
  VolumeArgument argument;
  size_t comma = text.find(',');
  const std::string path = text.substr(0, comma);
  if (path.empty())
    return Fail(Code::kInvalid, "--volume '" + text + "': no path; write PATH[,name=N,label=K=V]");
  while (comma != std::string::npos) {
    const size_t begin = comma + 1;
    comma = text.find(',', begin);
    PXFS_TRY(ParseOption(
        text, text.substr(begin, comma == std::string::npos ? comma : comma - begin), argument));
  }
  PXFS_ASSIGN(argument.path, CanonicalPath(path));
  return argument;
}

}  // namespace pxfs::cli
