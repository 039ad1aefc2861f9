// Opening paths with the rights of a user, so that the service never reaches for anybody what they
// could not reach themselves.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rpc/jobs.pb.h"

namespace pxfs::jobs {

// open(2) of an absolute host path by the user's ids and groups. Blocks for a thread's start. The
// error names `path`.
Result<UniqueFd> OpenAsUser(const std::string& path, int flags, const proto::User& user);

// A name by which any process of this namespace reaches what `fd` is open on, for as long as it is
// open.
std::string PathOfFd(const UniqueFd& fd);

// The user's supplementary groups as the user database has them.
void FillGroups(proto::User& user);

}  // namespace pxfs::jobs
