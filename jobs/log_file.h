// The log that conmon keeps of a container: one line "TIME STREAM F|P TEXT" a line of output, P for
// a part of one.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

// Appends what `path` holds from `offset` on to the reply, at most about `max_bytes`, whole log
// lines only, and sets next_offset. A log that is not there yet is empty. kCorruption: not such a
// log.
Status ReadLogFile(const std::string& path, uint64_t offset, size_t max_bytes,
                   proto::LogReply& reply);

}  // namespace pxfs::jobs
