#include "tests/crash/worker.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/unique_fd.h"

namespace pxfs::test {
namespace {

class Worker {
 public:
  Worker(int directory, int log, uint32_t seed, WorkloadControl& control)
      : directory_(directory), log_(log), random_(seed), control_(control) {}

  // Returns the exit status.
  int Run() {
    while (!control_.stop) {
      const Operation operation = model_.Choose(random_);
      Log("B " + operation.Line());
      if (const int error = Execute(operation); error != 0) {
        if (control_.killed) return 0;
        Log("E " + operation.Line() + ": " + std::strerror(error));
        return 1;
      }
      Log("D");
      model_.Apply(operation);
      if (control_.done.fetch_add(1) + 1 == control_.wanted &&
          ::write(control_.reached_fd, "x", 1) != 1)
        return 1;
    }
    return 0;
  }

 private:
  void Log(const std::string& line) {
    const std::string text = line + "\n";
    if (::write(log_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(1);
  }

  // The errno of what failed, or 0.
  static int Outcome(long result) { return result < 0 ? errno : 0; }

  int WriteTo(int fd, const std::string& bytes) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    return n == static_cast<ssize_t>(bytes.size()) ? 0 : n < 0 ? errno : EIO;
  }

  int Append(const std::string& path, uint64_t number) {
    UniqueFd fd(::openat(directory_, path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (!fd) return errno;
    if (const int error = WriteTo(fd.get(), AppendedBytes(number)); error != 0) return error;
    return Outcome(::close(fd.release()));
  }

  // Through a descriptor that is opened now and again and else kept, whatever becomes of the name
  // meanwhile.
  int AppendHeld(const std::string& path, uint64_t number) {
    if (path != held_path_ || !held_) {
      held_ = UniqueFd(::openat(directory_, path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
      if (!held_) return errno;
      held_path_ = path;
    }
    return WriteTo(held_.get(), AppendedBytes(number));
  }

  int Execute(const Operation& operation) {
    const char* path = operation.path.c_str();
    const std::string number = std::to_string(operation.number);
    // A held descriptor must not outlive a name that may come to mean another file.
    if (operation.kind != OperationKind::kAppendHeld && operation.kind != OperationKind::kAppend &&
        operation.kind != OperationKind::kCreate && operation.kind != OperationKind::kMkdir &&
        operation.kind != OperationKind::kSymlink && operation.kind != OperationKind::kLink)
      held_path_.clear();
    switch (operation.kind) {
      case OperationKind::kCreate: {
        const int fd = ::openat(directory_, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        return fd < 0 ? errno : Outcome(::close(fd));
      }
      case OperationKind::kAppend:
        return Append(operation.path, operation.number);
      case OperationKind::kAppendHeld:
        return AppendHeld(operation.path, operation.number);
      case OperationKind::kTruncate: {
        UniqueFd fd(::openat(directory_, path, O_WRONLY | O_CLOEXEC));
        return fd ? Outcome(::ftruncate(fd.get(), static_cast<off_t>(operation.number))) : errno;
      }
      case OperationKind::kUnlink:
        return Outcome(::unlinkat(directory_, path, 0));
      case OperationKind::kMkdir:
        return Outcome(::mkdirat(directory_, path, 0755));
      case OperationKind::kRmdir:
        return Outcome(::unlinkat(directory_, path, AT_REMOVEDIR));
      case OperationKind::kRename:
        return Outcome(::renameat(directory_, path, directory_, operation.to.c_str()));
      case OperationKind::kLink:
        return Outcome(::linkat(directory_, path, directory_, operation.to.c_str(), 0));
      case OperationKind::kSymlink:
        return Outcome(::symlinkat(number.c_str(), directory_, path));
      case OperationKind::kChmod:
        return Outcome(::fchmodat(directory_, path, static_cast<mode_t>(operation.number), 0));
      case OperationKind::kSetXattr: {
        UniqueFd fd(::openat(directory_, path, O_RDONLY | O_CLOEXEC));
        return fd ? Outcome(::fsetxattr(fd.get(), "user.crash", number.data(), number.size(), 0))
                  : errno;
      }
    }
    return EINVAL;
  }

  const int directory_;
  const int log_;
  std::mt19937 random_;
  WorkloadControl& control_;
  Model model_;
  UniqueFd held_;
  std::string held_path_;
};

}  // namespace

pid_t StartWorker(const std::string& directory, const std::string& log, uint32_t seed,
                  WorkloadControl& control) {
  // Before the fork: the other workers may do all that is wanted, and the mount be killed, before
  // this one runs for the first time.
  const UniqueFd at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd log_fd(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!at || !log_fd) return -1;
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(022);
  ::_exit(Worker(at.get(), log_fd.get(), seed, control).Run());
}

Result<WorkerHistory> ReadHistory(const std::string& log) {
  WorkerHistory history;
  std::ifstream in(log);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("B ")) {
      PXFS_ASSIGN(history.in_flight, Operation::Parse(line.substr(2)));
    } else if (line == "D" && history.in_flight) {
      history.done.Apply(*history.in_flight);
      history.in_flight.reset();
      ++history.operations;
    } else {
      history.error = line;
    }
  }
  return history;
}

std::string CompareWithHistory(const WorkerHistory& history, const std::string& directory) {
  const auto found = Model::Read(directory);
  if (!found) return found.error().message();
  const std::string actual = found->Text(), expected = history.done.Text();
  if (actual == expected) return "";
  if (history.in_flight) {
    Model after = history.done;
    after.ApplyInterrupted(*history.in_flight, *found);
    if (actual == after.Text()) return "";
  }
  std::ostringstream out;
  out << directory << " differs after " << history.operations
      << " operations; in flight: " << (history.in_flight ? history.in_flight->Line() : "none")
      << "\n";
  std::istringstream expected_lines(expected), actual_lines(actual);
  std::string want, have;
  for (int shown = 0; shown < 5;) {
    const bool more_wanted = static_cast<bool>(std::getline(expected_lines, want));
    const bool more_found = static_cast<bool>(std::getline(actual_lines, have));
    if (!more_wanted && !more_found) break;
    if (more_wanted && more_found && want == have) continue;
    out << "  expected: " << (more_wanted ? want : "(end)")
        << "\n  found:    " << (more_found ? have : "(end)") << "\n";
    ++shown;
  }
  return out.str();
}

}  // namespace pxfs::test
