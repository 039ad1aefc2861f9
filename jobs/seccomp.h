// The system calls that no job may use: those that reach beyond its container, or parts of the
// kernel that a program computing on files has no use for and that have often been ways out.
//
// The list says what is denied (with EPERM) rather than what is allowed, so that programs newer
// than the list work. It comes on top of no capabilities and no_new_privs, which deny most of these
// already.
#pragma once

#include <nlohmann/json.hpp>

namespace pxfs::jobs {

// The `linux.seccomp` object of an OCI configuration.
nlohmann::json SeccompProfile();

}  // namespace pxfs::jobs
