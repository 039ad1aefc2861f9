#include "base/json_file.h"

#include "base/unique_fd.h"

namespace pxfs {

Result<nlohmann::json> ReadJsonFile(const std::string& path) {
  PXFS_ASSIGN(const std::string text, ReadFile(path));
  auto value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return Fail(Code::kCorruption, path + ": not a JSON document");
  return value;
}

Status WriteJsonFile(const std::string& path, const nlohmann::json& value, unsigned mode) {
  return WriteFileAtomically(path, value.dump(2) + "\n", mode);
}

}  // namespace pxfs
