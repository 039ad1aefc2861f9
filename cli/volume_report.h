// Volumes as `status`, `df` and `volume ls` show them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "meta/types.h"

namespace pxfs::cli {

// {"name","node","state","path","total","free","reserve","objects","object_bytes","copy_rate","weight","labels","problem"}
nlohmann::json VolumeJson(const meta::VolumeInfo& volume);

// "tier=ssd,rack=2", or "-"
std::string LabelsText(const std::map<std::string, std::string>& labels);

}  // namespace pxfs::cli
