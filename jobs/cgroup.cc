#include "jobs/cgroup.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "base/process.h"
#include "base/unique_fd.h"

namespace pxfs::jobs {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds kDestroyTimeout{10};
constexpr std::chrono::milliseconds kBetweenLooks{5};

// Where the hierarchies are mounted.
std::vector<std::string> Hierarchies() {
  std::vector<std::string> roots;
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  while (std::getline(mounts, line)) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos || !line.substr(dash + 3).starts_with("cgroup")) continue;
    std::istringstream fields(line);
    std::string skip, root, mountpoint;
    fields >> skip >> skip >> skip >> root >> mountpoint;
    if (root == "/") roots.push_back(mountpoint);
  }
  return roots;
}

std::string ReadSmall(const std::string& path) {
  std::ifstream in(path);
  std::string text;
  std::getline(in, text, '\0');
  return text;
}

uint64_t NumberIn(const std::string& path) {
  std::istringstream in(ReadSmall(path));
  uint64_t number = 0;
  in >> number;
  return number;
}

// The number behind `key` in a file of "key number" lines.
uint64_t KeyedNumber(const std::string& path, const std::string& key) {
  std::istringstream in(ReadSmall(path));
  std::string name;
  uint64_t number = 0;
  while (in >> name >> number) {
    if (name == key) return number;
  }
  return 0;
}

// The directory and those below it, deepest first.
void CollectDeepestFirst(const std::string& directory, std::vector<std::string>& out) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.is_directory(error)) CollectDeepestFirst(entry.path(), out);
  }
  out.push_back(directory);
}

std::set<pid_t> ProcessesBelow(const std::vector<std::string>& directories) {
  std::set<pid_t> pids;
  for (const auto& top : directories) {
    std::vector<std::string> all;
    CollectDeepestFirst(top, all);
    for (const auto& directory : all) {
      std::istringstream in(ReadSmall(directory + "/cgroup.procs"));
      pid_t pid = 0;
      while (in >> pid) pids.insert(pid);
    }
  }
  return pids;
}

}  // namespace

Cgroup::Cgroup(std::string name) : name_(std::move(name)) {}

std::vector<std::string> Cgroup::Directories() const {
  std::vector<std::string> found;
  for (const auto& root : Hierarchies()) {
    const std::string directory = root + "/" + name_;
    if (::access(directory.c_str(), F_OK) == 0) found.push_back(directory);
  }
  return found;
}

bool Cgroup::Exists() const { return !Directories().empty(); }

std::vector<pid_t> Cgroup::Processes() const {
  const auto pids = ProcessesBelow(Directories());
  return {pids.begin(), pids.end()};
}

CgroupUsage Cgroup::Usage() const {
  CgroupUsage usage;
  for (const auto& directory : Directories()) {
    usage.peak_memory_bytes =
        std::max({usage.peak_memory_bytes, NumberIn(directory + "/memory.max_usage_in_bytes"),
                  NumberIn(directory + "/memory.peak")});
    usage.cpu_ns = std::max({usage.cpu_ns, NumberIn(directory + "/cpuacct.usage"),
                             KeyedNumber(directory + "/cpu.stat", "usage_usec") * 1000});
    if (KeyedNumber(directory + "/memory.oom_control", "oom_kill") > 0 ||
        KeyedNumber(directory + "/memory.events", "oom_kill") > 0) {
      usage.out_of_memory = true;
    }
  }
  return usage;
}

Status Cgroup::Kill() const {
  const auto deadline = std::chrono::steady_clock::now() + kDestroyTimeout;
  // A process may fork between the look and the kill, so until none is left.
  for (auto pids = Processes(); !pids.empty(); pids = Processes()) {
    for (const pid_t pid : pids) {
      const auto pidfd = OpenPidfd(pid);
      if (!pidfd) continue;
      PXFS_TRY(SendSignal(*pidfd, SIGKILL));
      AwaitEnd(*pidfd, std::chrono::ceil<std::chrono::milliseconds>(
                           deadline - std::chrono::steady_clock::now()));
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Fail(Code::kBusy, "the processes of cgroup '" + name_ + "' do not end");
    }
  }
  return {};
}

Status Cgroup::Destroy() const {
  const auto deadline = std::chrono::steady_clock::now() + kDestroyTimeout;
  while (true) {
    PXFS_TRY(Kill());
    int error = 0;
    std::string failed;
    for (const auto& top : Directories()) {
      std::vector<std::string> all;
      CollectDeepestFirst(top, all);
      for (const auto& directory : all) {
        if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) continue;
        error = errno;
        failed = directory;
      }
    }
    if (error == 0) return {};
    // Busy also while a process that has ended is taken down, or one is only now put in there.
    if (error != EBUSY || std::chrono::steady_clock::now() >= deadline) {
      return FailErrno(error, failed);
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

std::vector<std::string> Cgroup::List(const std::string& prefix) {
  std::set<std::string> names;
  for (const auto& root : Hierarchies()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root, error)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(prefix) && entry.is_directory(error)) names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace pxfs::jobs
