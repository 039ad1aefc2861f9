#include "meta/local_service_impl.h"

namespace pxfs::meta {

Status LocalService::Sync() { return store_->engine().Sync(); }

}  // namespace pxfs::meta
