// Brings one batch of regular files in: reserve, copy or link, publish.
#pragma once

#include "cli/ingest/job.h"

namespace pxfs::cli {

// Problems with single files go to the job's; those of the service abort it.
void StoreBatch(IngestJob& job, const Batch& batch);

}  // namespace pxfs::cli
