// What a job is: built from named fields (flags and job files use the same names), checked,
// bounded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

inline constexpr uint32_t kMaxTasks = 10'000;  // of one job
inline constexpr size_t kMaxSpecBytes = 1 << 20;

// One CPU, the image "host", priority 50, 256 MiB of /tmp.
proto::JobSpec DefaultSpec();

// Sets the field `name` ("cpus", "input", ...) from one value as a flag takes it; fields that hold
// several values grow. kInvalid: an unknown name, or a value that is not of its kind.
Status SetField(proto::JobSpec& spec, std::string_view name, std::string_view value);
// Whether the field holds several values.
bool IsRepeated(std::string_view name);

// Reads a job file, YAML or JSON (which YAML contains): a mapping from field names to a value, or
// to a list where the field holds several; `env` and `label` may be mappings, `command` is a list
// or a string for /bin/sh -c. kInvalid names the field and line.
Status ReadSpec(std::string_view text, proto::JobSpec& spec);

// "K=V" lines; blank lines and those that begin with # are skipped.
Status ReadEnvironment(std::string_view text, proto::JobSpec& spec);

// Everything that can be said of a spec without looking at the cluster. kInvalid.
Status CheckSpec(const proto::JobSpec& spec);

// Whether `path` is `directory` or lies below it. Both are namespace paths.
bool IsAtOrBelow(std::string_view path, std::string_view directory);

}  // namespace pxfs::jobs
