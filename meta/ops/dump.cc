#include "meta/dump.h"

#include "meta/local_service_impl.h"

namespace pxfs::meta {

Status LocalService::Dump(const DumpTarget& target) { return WriteDump(store_->engine(), target); }

}  // namespace pxfs::meta
