#include <yaml-cpp/yaml.h>

#include "jobs/spec.h"

namespace pxfs::jobs {
namespace {

std::string At(const YAML::Node& node) { return "line " + std::to_string(node.Mark().line + 1); }

Status SetScalar(proto::JobSpec& spec, const std::string& name, const YAML::Node& value) {
  if (!value.IsScalar()) return Fail(Code::kInvalid, At(value) + ": " + name + " takes one value");
  if (auto set = SetField(spec, name, value.Scalar()); !set) {
    return Fail(set.error().WithContext(At(value)));
  }
  return {};
}

Status SetMapping(proto::JobSpec& spec, const std::string& name, const YAML::Node& value) {
  for (const auto& item : value) {
    if (!item.first.IsScalar() || !item.second.IsScalar()) {
      return Fail(Code::kInvalid, At(value) + ": " + name + " maps names to single values");
    }
    const std::string pair = item.first.Scalar() + "=" + item.second.Scalar();
    if (auto set = SetField(spec, name, pair); !set)
      return Fail(set.error().WithContext(At(value)));
  }
  return {};
}

Status ReadField(proto::JobSpec& spec, const std::string& name, const YAML::Node& value) {
  if (name == "command" && value.IsScalar()) {
    for (const char* word : {"/bin/sh", "-c", value.Scalar().c_str()}) spec.add_command(word);
    return {};
  }
  if (value.IsSequence() && IsRepeated(name)) {
    for (const auto& item : value) PXFS_TRY(SetScalar(spec, name, item));
    return {};
  }
  if (value.IsMap() && (name == "env" || name == "label")) return SetMapping(spec, name, value);
  return SetScalar(spec, name, value);
}

}  // namespace

Status ReadSpec(std::string_view text, proto::JobSpec& spec) {
  if (text.size() > kMaxSpecBytes) return Fail(Code::kInvalid, "larger than 1 MiB");
  // yaml-cpp reports by throwing.
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsMap()) return Fail(Code::kInvalid, "not a mapping from field names to values");
    for (const auto& item : root) {
      if (!item.first.IsScalar())
        return Fail(Code::kInvalid, At(item.first) + ": not a field name");
      PXFS_TRY(ReadField(spec, item.first.Scalar(), item.second));
    }
  } catch (const YAML::Exception& e) {
    return Fail(Code::kInvalid, e.what());
  }
  return {};
}

}  // namespace pxfs::jobs
