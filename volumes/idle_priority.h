// For threads that read and write in the background.
#pragma once

namespace pxfs::volumes {

// The calling thread's I/O waits for everybody else's, where the disk's scheduler knows of that.
void BeIdle();

}  // namespace pxfs::volumes
