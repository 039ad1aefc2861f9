// Walking a job's inputs in the namespace, with the submitter's rights.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "meta/service.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

struct InputEntry {
  std::string path;  // relative to the input; "" is the input itself
  meta::Attr attr;
  // A directory that the submitter may not list or search: what is below it is not walked.
  bool closed = false;
};

// A call by `user` that is checked.
meta::CallContext UserContext(SessionId session, const proto::User& user);

// Calls `visit` for the input itself and everything below it, directories before what they hold,
// and stops at its first error. Entries that vanish meanwhile are left out. kNotFound, kAccess for
// the input itself.
Status WalkInput(meta::MetadataService& metadata, const meta::CallContext& user,
                 const std::string& input, const std::function<Status(const InputEntry&)>& visit);

// Whether the permission bits let the user read. Access control lists are not looked at.
bool BitsAllowRead(const meta::Attr& attr, const proto::User& user);
// The same for making entries in a directory.
bool BitsAllowChange(const meta::Attr& attr, const proto::User& user);

// "a" + "b/c" -> "a/b/c", with "/" and "" as roots.
std::string JoinPath(const std::string& base, const std::string& rest);

}  // namespace pxfs::jobs
