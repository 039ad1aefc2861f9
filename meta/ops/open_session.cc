#include "meta/local_service_impl.h"

namespace pxfs::meta {

Result<SessionId> LocalService::OpenSession(const SessionSpec& spec) {
  // Before anybody can speak for the session: its first requests may be repetitions.
  if (spec.resume) PXFS_TRY(repetitions_.Load(spec.resume));
  return sessions_.Open(spec);
}

}  // namespace pxfs::meta
