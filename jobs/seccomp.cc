#include "jobs/seccomp.h"

#include <sched.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

namespace pxfs::jobs {
namespace {

using nlohmann::json;

const std::vector<std::string> kDenied = {
    // mounts and roots
    "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr",
    // other namespaces
    "setns", "unshare",
    // files by handle: around directory permissions
    "open_by_handle_at", "name_to_handle_at",
    // the kernel itself
    "init_module", "finit_module", "delete_module", "create_module", "query_module",
    "get_kernel_syms", "kexec_load", "kexec_file_load", "reboot", "bpf", "perf_event_open",
    "userfaultfd", "lookup_dcookie", "syslog", "acct", "quotactl", "quotactl_fd", "swapon",
    "swapoff", "nfsservctl", "uselib", "sysfs", "_sysctl", "ustat", "vm86", "vm86old", "iopl",
    "ioperm", "kcmp", "vhangup",
    // keys are not divided among containers
    "add_key", "request_key", "keyctl",
    // clocks
    "settimeofday", "stime", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64",
    "adjtimex",
    // memory of other processes and NUMA policy
    "process_vm_writev", "move_pages", "migrate_pages", "mbind", "set_mempolicy",
    // a way around this list
    "io_uring_setup", "io_uring_enter", "io_uring_register"};

constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                     CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

json Deny(const std::vector<std::string>& names, int error_number) {
  return {{"names", names}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", error_number}};
}

// clone with any one of the flags for new namespaces: one rule a flag, as a rule compares under one
// mask.
json DeniedCloneRules() {
  json rules = json::array();
  for (uint64_t flag = 1; flag <= kNamespaceFlags; flag <<= 1) {
    if (!(kNamespaceFlags & flag)) continue;
    const json argument = {
        {"index", 0}, {"value", flag}, {"valueTwo", flag}, {"op", "SCMP_CMP_MASKED_EQ"}};
    json rule = Deny({"clone"}, EPERM);
    rule["args"] = json::array({argument});
    rules.push_back(rule);
  }
  return rules;
}

}  // namespace

json SeccompProfile() {
  json rules = DeniedCloneRules();
  rules.push_back(Deny(kDenied, EPERM));
  // Its flags lie in memory, where a filter cannot look; C libraries then use clone.
  rules.push_back(Deny({"clone3"}, ENOSYS));
  return {{"defaultAction", "SCMP_ACT_ALLOW"},
          {"architectures",
           {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64",
            "SCMP_ARCH_ARM"}},
          {"syscalls", rules}};
}

}  // namespace pxfs::jobs
