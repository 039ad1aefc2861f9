// For threads that read and write in the background.
#pragma once

namespace pxfs::volumes {

// The calling thread's I/O waits for everybody else's, where the disk's scheduler knows of that,
// and it gets a tenth of a processor that others want; no less, as it may hold what they wait for.
void BeIdle();

}  // namespace pxfs::volumes
