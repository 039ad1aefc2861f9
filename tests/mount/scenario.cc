#include "tests/mount/scenario.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "base/unique_fd.h"
#include "tests/support/long_run.h"
#include "tests/support/process.h"

namespace pxfs::test {
namespace {

constexpr std::chrono::minutes kLimit(2);

std::vector<Scenario>& Registered() {
  static std::vector<Scenario> scenarios;
  return scenarios;
}

// In the child: runs the scenario and writes its lines to `out`.
[[noreturn]] void RunChild(const Scenario& scenario, const std::string& directory, int out) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(022);
  if (::chdir(directory.c_str()) != 0) {
    ::dprintf(out, "cannot enter %s: %m\n", directory.c_str());
    ::_exit(1);
  }
  Probe probe;
  scenario.run(probe);
  std::string text;
  for (const std::string& line : probe.lines()) text += line + "\n";
  ::_exit(WriteAll(out, text) ? 0 : 1);
}

}  // namespace

ScenarioRegistration::ScenarioRegistration(const char* name, void (*run)(Probe&)) {
  Registered().push_back({name, run});
}

const std::vector<Scenario>& Scenarios() {
  std::sort(Registered().begin(), Registered().end(),
            [](const Scenario& a, const Scenario& b) { return std::strcmp(a.name, b.name) < 0; });
  return Registered();
}

int Effort() { return LongRun() ? 10 : 1; }

Result<std::vector<std::string>> RunScenario(const Scenario& scenario,
                                             const std::string& directory) {
  const std::string work = directory + "/" + scenario.name;
  if (::mkdir(work.c_str(), 0755) != 0) return FailErrno(errno, work);
  UniqueFd out(::memfd_create("lines", MFD_CLOEXEC));
  if (!out) return FailErrno(errno, "memfd_create");
  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno(errno, "fork");
  if (pid == 0) RunChild(scenario, work, out.get());

  PXFS_ASSIGN(const Process process, Process::Find(pid));
  const bool ended = process.WaitForEnd(kLimit);
  ::kill(-pid, SIGKILL);  // what it left running, or itself
  int status = 0;
  if (::waitpid(pid, &status, 0) < 0) return FailErrno(errno, "waitpid");

  std::string text(static_cast<size_t>(::lseek(out.get(), 0, SEEK_END)), '\0');
  if (::pread(out.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return FailErrno(errno, "memfd");
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (!ended) {
    lines.push_back("the scenario hangs");
  } else if (status != 0) {
    lines.push_back("the scenario ended with wait status " + std::to_string(status));
  }
  PXFS_TRY(RunOk({"rm", "-rf", work}));
  return lines;
}

std::string Differences(const std::vector<std::string>& native,
                        const std::vector<std::string>& other) {
  constexpr size_t kContext = 6;
  constexpr int kShown = 8;
  std::ostringstream out;
  int shown = 0;
  for (size_t i = 0; i < std::max(native.size(), other.size()) && shown < kShown; ++i) {
    const std::string& expected = i < native.size() ? native[i] : "(no further line)";
    const std::string& actual = i < other.size() ? other[i] : "(no further line)";
    if (expected == actual) continue;
    if (++shown == 1) {
      for (size_t j = i > kContext ? i - kContext : 0; j < i; ++j)
        out << "        " << native[j] << "\n";
    }
    out << "native: " << expected << "\n  here: " << actual << "\n";
  }
  return out.str();
}

}  // namespace pxfs::test
