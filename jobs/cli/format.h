// Records as people and programs read them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rpc/jobs.pb.h"

namespace pxfs::jobs::cli {

nlohmann::json ToJson(const proto::JobRecord& job);
nlohmann::json ToJson(const proto::ShowReply& reply);

// "2026-01-31 12:00:00" in local time; "-" for 0.
std::string FormatTime(int64_t ms);
// "1.5s", "2m03s", "1h02m"; "-" where either end is missing.
std::string FormatSpan(int64_t from_ms, int64_t to_ms);
// The command as one line, quoted where a shell would need it.
std::string FormatCommand(const proto::JobSpec& spec);
std::string UserName(uint32_t uid);

// Columns aligned with two blanks between; the first row holds the headings.
void PrintTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace pxfs::jobs::cli
