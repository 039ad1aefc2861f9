#include "jobs/local_node.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/json_file.h"
#include "base/logging.h"
#include "base/process.h"
#include "jobs/as_user.h"
#include "jobs/input_walk.h"
#include "jobs/publish.h"
#include "jobs/staging.h"
#include "jobs/terminate.h"

namespace pxfs::jobs {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::system_clock;

constexpr const char* kOutputInContainer = "/output";
constexpr const char* kInfoInContainer = "/run/pxfs";
constexpr milliseconds kTimeLimitGrace{10'000};
constexpr milliseconds kMonitorTimeout{30'000};

Clock::time_point FromMs(int64_t ms) { return Clock::time_point(milliseconds(ms)); }

Result<pid_t> ReadPid(const std::string& path) {
  PXFS_ASSIGN(const std::string text, ReadFile(path, 64));
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  if (pid <= 0) return Fail(Code::kCorruption, path);
  return pid;
}

// Whether the process is the monitor of this container, and not another one with its old number.
bool IsMonitorOf(pid_t pid, const std::string& id) {
  const auto command_line = ReadFile("/proc/" + std::to_string(pid) + "/cmdline", 1 << 20);
  return command_line &&
         command_line->find(std::string("--cid\0", 6) + id + '\0') != std::string::npos;
}

// Ends what was about to make the container when the service was killed: its monitor-to-be and the
// runtime's commands have the id as a word of theirs.
Status KillMakersOf(const std::string& id) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || end != name.data() + name.size() || pid == ::getpid()) continue;
    const auto pidfd = OpenPidfd(pid);
    const auto words = ReadFile(entry.path() / "cmdline", 1 << 20);
    if (!pidfd || !words || words->find('\0' + id + '\0') == std::string::npos) continue;
    PXFS_TRY(SendSignal(*pidfd, SIGKILL));
    AwaitEnd(*pidfd, kMonitorTimeout);
  }
  return {};
}

}  // namespace

struct LocalNode::Task {
  explicit Task(TaskLaunch l) : launch(std::move(l)), wake(::eventfd(0, EFD_CLOEXEC)) {}

  void Ring() const {
    const uint64_t one = 1;
    // Only a counter at its maximum could refuse, and then the reader is awake anyway.
    [[maybe_unused]] const ssize_t written = ::write(wake.get(), &one, sizeof one);
  }

  const TaskLaunch launch;
  const UniqueFd wake;
  std::atomic<bool> end_asked = false;
  std::atomic<bool> detach_asked = false;
  std::atomic<int64_t> grace_ms = 0;
  Clock::time_point deadline = Clock::time_point::max();  // of the time limit; its thread's own
  std::vector<UniqueFd> held;  // sources of mounts, until the container is made; its thread's own
  volumes::VolumeLoad::Hold reading;  // of its inputs; its thread's own
  std::thread thread;
};

LocalNode::LocalNode(LocalNodeOptions options)
    : options_(std::move(options)),
      // An ordinary user has no tasks, and no place in /run.
      run_directory_(::geteuid() == 0 ? "/run/pxfs/" + options_.cluster_uuid.substr(0, 8)
                                      : options_.state_directory + "/run"),
      images_(options_.state_directory + "/images") {}

LocalNode::~LocalNode() { Stop(/*end_tasks=*/false); }

NodeResources LocalNode::Resources() const {
  NodeResources resources;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  resources.cpus = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  struct sysinfo info {};
  if (::sysinfo(&info) == 0) resources.memory_bytes = uint64_t{info.totalram} * info.mem_unit;
  return resources;
}

std::string LocalNode::ContainerPrefix() const {
  return "pxfs-" + options_.cluster_uuid.substr(0, 8) + "-";
}

std::string LocalNode::ContainerId(TaskKey key) const { return ContainerPrefix() + ToString(key); }

Status LocalNode::Start(Observer& observer, std::span<const TaskLaunch> live,
                        std::span<const uint64_t> staged_jobs) {
  observer_ = &observer;
  PXFS_TRY(MakeDirectories(run_directory_, 0700));
  RemoveLeftovers(live, staged_jobs);
  for (const auto& launch : live) Spawn(std::make_shared<Task>(launch), /*adopt=*/true);
  return {};
}

void LocalNode::RemoveLeftovers(std::span<const TaskLaunch> live,
                                std::span<const uint64_t> staged_jobs) {
  std::set<std::string> ids;
  const std::string prefix = ContainerPrefix();
  for (const auto& id : Cgroup::List(prefix)) ids.insert(id);
  for (const auto& id : OciRuntime::List(run_directory_)) ids.insert(id);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_directory_, error)) {
    ids.insert(entry.path().filename());
  }
  std::set<TaskKey> keys = ListViews(options_.volumes);
  for (const auto& id : ids) {
    if (!id.starts_with(prefix)) continue;
    if (const auto key = ParseTaskKey(std::string_view(id).substr(prefix.size())))
      keys.insert(*key);
  }
  for (const auto& launch : live) keys.erase(launch.key);
  if (const std::string probe = OciRuntime::ProbeId(run_directory_); ids.contains(probe)) {
    if (auto removed = RemoveContainer(probe); !removed) {
      log::error("container {}: {}", probe, removed.error().message());
    }
  }
  for (const TaskKey key : keys) {
    log::info("removing what is left of task {}", ToString(key));
    if (auto cleaned = Clean(key); !cleaned) {
      log::error("task {}: {}", ToString(key), cleaned.error().message());
    }
  }
  for (const uint64_t job : ListStaging(options_.volumes)) {
    if (std::find(staged_jobs.begin(), staged_jobs.end(), job) != staged_jobs.end()) continue;
    if (auto removed = RemoveStaging(job); !removed) {
      log::error("staging of job {}: {}", job, removed.error().message());
    }
  }
}

void LocalNode::Launch(TaskLaunch launch) {
  Spawn(std::make_shared<Task>(std::move(launch)), /*adopt=*/false);
}

void LocalNode::Spawn(std::shared_ptr<Task> task, bool adopt) {
  std::vector<std::thread> finished;
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    finished.swap(finished_);
    tasks_[task->launch.key] = task;
    task->thread = std::thread([this, task, adopt] { RunTask(task, adopt); });
  }
  for (auto& thread : finished) thread.join();
}

void LocalNode::End(TaskKey key, milliseconds grace) {
  std::lock_guard lock(mutex_);
  const auto found = tasks_.find(key);
  if (found == tasks_.end()) return;
  found->second->grace_ms = grace.count();
  found->second->end_asked = true;
  found->second->Ring();
}

Status LocalNode::RemoveStaging(uint64_t job) { return jobs::RemoveStaging(options_.volumes, job); }

void LocalNode::Stop(bool end_tasks) {
  std::vector<std::shared_ptr<Task>> tasks;
  std::vector<std::thread> finished;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    for (const auto& [key, task] : tasks_) {
      (end_tasks ? task->end_asked : task->detach_asked) = true;
      task->Ring();
      tasks.push_back(task);
    }
    finished.swap(finished_);
  }
  for (auto& thread : finished) thread.join();
  // A task takes its thread out of itself when it is through, so look again at what is left.
  for (const auto& task : tasks) {
    std::thread thread;
    {
      std::lock_guard lock(mutex_);
      thread = std::move(task->thread);
    }
    if (thread.joinable()) thread.join();
  }
  std::lock_guard lock(mutex_);
  for (auto& thread : finished_) finished.push_back(std::move(thread));
  finished_.clear();
  for (auto& thread : finished) {
    if (thread.joinable()) thread.join();
  }
  finished.clear();
  // Where no container is left, nothing is. rmdir refuses what still holds something.
  for (const char* part : {"/crun", "/runc", "/exits", ""}) {
    ::rmdir((run_directory_ + part).c_str());
  }
}

void LocalNode::RunTask(const std::shared_ptr<Task>& task, bool adopt) {
  const TaskKey key = task->launch.key;
  TaskEnd end;
  const bool ended = adopt ? AdoptAndFollow(*task, end) : LaunchAndFollow(*task, end);
  if (ended) {
    if (auto cleaned = Clean(key); !cleaned) {
      log::error("task {}: cleaning up: {}", ToString(key), cleaned.error().message());
    }
  }
  task->reading = {};
  {
    std::lock_guard lock(mutex_);
    tasks_.erase(key);
  }
  // The same task may be launched again from here.
  if (ended) observer_->TaskEnded(key, end);
  std::lock_guard lock(mutex_);
  if (task->thread.joinable()) finished_.push_back(std::move(task->thread));
}

bool LocalNode::LaunchAndFollow(Task& task, TaskEnd& end) {
  const TaskKey key = task.launch.key;
  const auto fail = [&](const Error& error) {
    end.kind = TaskEnd::Kind::kNotLaunched;
    end.message = error.message();
    return true;
  };
  const auto processes = Prepare(task, end.routes);
  if (task.end_asked) {
    end.kind = TaskEnd::Kind::kEnded;
    return true;
  }
  if (!processes) return fail(processes.error());
  const auto monitor = OpenPidfd(processes->monitor);
  if (!monitor) return fail(monitor.error());
  // Marked first: whoever takes over starts it if we do not come to that, and never starts it
  // twice.
  if (const auto marked = WriteFileAtomically(BundleOf(key) + "/started", ""); !marked) {
    return fail(marked.error());
  }
  if (const auto started = runtime_->Start(ContainerId(key)); !started) {
    return fail(started.error());
  }
  if (task.launch.spec.time_limit_ms() != 0) {
    task.deadline = Clock::now() + milliseconds(task.launch.spec.time_limit_ms());
  }
  observer_->TaskStarted(key, end.routes);
  return Follow(task, *monitor, end);
}

bool LocalNode::AdoptAndFollow(Task& task, TaskEnd& end) {
  const TaskKey key = task.launch.key;
  const std::string id = ContainerId(key);
  end.routes = task.launch.routes;
  struct stat started {};
  const bool was_started = ::stat((BundleOf(key) + "/started").c_str(), &started) == 0;
  const auto pid = ReadPid(BundleOf(key) + "/monitor.pid");
  const auto runtime = Runtime();
  if (!was_started) {
    end.kind = TaskEnd::Kind::kInterrupted;
    return true;
  }
  if (!pid || !runtime) {
    end.kind = TaskEnd::Kind::kLost;
    end.message = runtime ? pid.error().message() : runtime.error().message();
    return true;
  }
  const auto monitor = OpenPidfd(*pid);
  if (!monitor || !IsMonitorOf(*pid, id)) {
    Collect(task, end);
    return true;
  }
  if (const auto runs = (*runtime)->Start(id); !runs && !AwaitEnd(*monitor, milliseconds(0))) {
    end.kind = TaskEnd::Kind::kLost;
    end.message = runs.error().message();
    return true;
  }
  log::info("task {} goes on", ToString(key));
  if (task.launch.spec.time_limit_ms() != 0) {
    const auto start = FromMs(started.st_mtim.tv_sec * 1000 + started.st_mtim.tv_nsec / 1'000'000);
    task.deadline = start + milliseconds(task.launch.spec.time_limit_ms());
  }
  observer_->TaskStarted(key, end.routes);
  return Follow(task, *monitor, end);
}

LocalNode::Wake LocalNode::AwaitSomething(Task& task, const UniqueFd& monitor) const {
  while (true) {
    int timeout = -1;
    if (task.deadline != Clock::time_point::max()) {
      const auto left = std::chrono::ceil<milliseconds>(task.deadline - Clock::now()).count();
      timeout = static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
    }
    pollfd fds[2] = {{monitor.get(), POLLIN, 0}, {task.wake.get(), POLLIN, 0}};
    const int ready = ::poll(fds, 2, timeout);
    if (ready > 0 && fds[0].revents) return Wake::kMonitorEnded;
    if (task.end_asked) return Wake::kEnd;
    if (task.detach_asked) return Wake::kDetach;
    if (task.deadline <= Clock::now()) return Wake::kDeadline;
  }
}

bool LocalNode::Follow(Task& task, const UniqueFd& monitor, TaskEnd& end) {
  const Wake wake = AwaitSomething(task, monitor);
  if (wake == Wake::kDetach) return false;
  if (wake != Wake::kMonitorEnded) {
    const auto grace =
        wake == Wake::kDeadline ? kTimeLimitGrace : milliseconds(task.grace_ms.load());
    const auto terminated = Terminate(Cgroup(ContainerId(task.launch.key)), grace);
    if (!terminated) {
      log::error("task {}: {}", ToString(task.launch.key), terminated.error().message());
    }
    AwaitEnd(monitor, kMonitorTimeout);
  }
  Collect(task, end);
  if (wake == Wake::kEnd) end.kind = TaskEnd::Kind::kEnded;
  if (wake == Wake::kDeadline) {
    end.kind = TaskEnd::Kind::kTimedOut;
    end.message = "its time limit was reached";
  }
  return true;
}

void LocalNode::Collect(const Task& task, TaskEnd& end) const {
  const std::string id = ContainerId(task.launch.key);
  const CgroupUsage usage = Cgroup(id).Usage();
  end.peak_memory_bytes = usage.peak_memory_bytes;
  end.cpu_ns = usage.cpu_ns;
  if (task.launch.staging_volume) {
    const StagedTask staged{task.launch.key, task.launch.staging_volume};
    if (auto counted = CountStaged(options_.volumes, staged, end.routes); !counted) {
      log::warn("task {}: output: {}", ToString(task.launch.key), counted.error().message());
    }
  }
  const auto status = runtime_->ExitStatus(id);
  if (!status) {
    end.kind = TaskEnd::Kind::kLost;
    end.message = "its monitor ended without an exit status";
    return;
  }
  end.kind = TaskEnd::Kind::kExited;
  end.status = *status;
  if (*status == 0) return;
  if (usage.out_of_memory) {
    end.message = "it ran out of its memory limit";
  } else if (const auto volume = options_.volumes.Find(task.launch.staging_volume);
             volume && options_.volumes.BelowReserve(*volume)) {
    end.message = "exit status " + std::to_string(*status) + "; volume " + volume->name() +
                  ", where its output was staged, is full";
  }
}

Result<std::shared_ptr<OciRuntime>> LocalNode::Runtime() {
  std::lock_guard lock(runtime_mutex_);
  if (!runtime_) {
    PXFS_ASSIGN(auto chosen, OciRuntime::Choose(run_directory_));
    log::info("containers run under {}", chosen.name());
    runtime_ = std::make_shared<OciRuntime>(std::move(chosen));
  }
  return runtime_;
}

Result<ContainerProcesses> LocalNode::Prepare(Task& task, proto::Routes& routes) {
  const TaskKey key = task.launch.key;
  PXFS_ASSIGN(const auto runtime, Runtime());
  PXFS_TRY(Clean(key));  // of an earlier attempt that could not be cleaned
  PXFS_ASSIGN(const Image image, images_.Prepare(task.launch.spec.image(), task.launch.user));
  const std::string bundle = BundleOf(key);
  PXFS_TRY(MakeDirectories(bundle, 0700));
  PXFS_ASSIGN(const Container container, Describe(task, image, routes));
  PXFS_TRY(WriteJsonFile(bundle + "/config.json", OciConfig(container, "rootfs"), 0600));
  const std::string log_file = options_.log_file(key);
  PXFS_TRY(MakeDirectories(log_file.substr(0, log_file.rfind('/')), 0700));
  if (task.end_asked) return Fail(Code::kInterrupted);
  const auto held_bind = [](const std::string& held) {
    std::error_code error;
    const fs::path path = fs::read_symlink(held, error);
    return HeldBind{error ? held : path.string(), held};
  };
  CreateContainer create{ContainerId(key), bundle, held_bind(image.directory), log_file};
  for (const auto& source : task.held) create.binds.push_back(held_bind(PathOfFd(source)));
  auto created = runtime->Create(create);
  task.held.clear();
  return created;
}

Result<Container> LocalNode::Describe(Task& task, const Image& image, proto::Routes& routes) {
  const TaskLaunch& launch = task.launch;
  const proto::JobSpec& spec = launch.spec;
  const std::string mountpoint = options_.mountpoint();
  if (mountpoint.empty()) {
    return Fail(Code::kUnavailable, "the file system is not mounted on this node");
  }
  Container container;
  container.command.assign(spec.command().begin(), spec.command().end());
  container.hostname =
      "job-" + std::to_string(launch.key.job) + "-" + std::to_string(launch.key.task);
  container.user = launch.user;
  container.cpus = spec.cpus();
  container.memory_bytes = spec.memory_bytes();
  container.tmp_bytes = spec.tmp_bytes();
  container.host_network = spec.host_network();
  container.cgroup_path = Cgroup(ContainerId(launch.key)).oci_path();
  container.mounts = image.mounts;
  container.mounts.push_back(BindMount(mountpoint, "/pxfs", /*read_only=*/false));

  PXFS_ASSIGN(TaskInputs inputs, MakeViews(options_.metadata, options_.session, options_.volumes,
                                           {launch, mountpoint, options_.heat}));
  routes = inputs.routes;
  task.reading = std::move(inputs.reading);
  PXFS_TRY(WriteManifests(task, inputs.files));
  for (auto& mount : inputs.mounts) container.mounts.push_back(std::move(mount));
  container.mounts.push_back(
      BindMount(BundleOf(launch.key) + "/info", kInfoInContainer, /*read_only=*/true));

  container.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp",
                   "LANG=C.UTF-8"};
  container.env.insert(container.env.end(), image.env.begin(), image.env.end());
  if (launch.staging_volume) {
    PXFS_ASSIGN(const auto volume, options_.volumes.Require(launch.staging_volume));
    PXFS_ASSIGN(const std::string staging, MakeStaging(*volume, launch.key, launch.user));
    container.mounts.push_back(BindMount(staging, kOutputInContainer, /*read_only=*/false));
    container.env.push_back(std::string("PXFS_OUTPUT=") + kOutputInContainer);
  }
  for (const auto& bind : spec.binds()) {
    // What the user's own rights lead to, now and when the runtime mounts it.
    PXFS_ASSIGN(UniqueFd source, OpenAsUser(bind.source(), O_PATH, launch.user));
    container.mounts.push_back(BindMount(BindSource(BundleOf(launch.key), task.held.size()),
                                         bind.destination(), bind.read_only()));
    task.held.push_back(std::move(source));
  }
  for (const auto& [name, value] : spec.env()) container.env.push_back(name + "=" + value);
  container.env.push_back(std::string("PXFS_INPUTS=") + kInfoInContainer + "/inputs");
  container.env.push_back(std::string("PXFS_INPUTS0=") + kInfoInContainer + "/inputs0");
  container.env.push_back("PXFS_JOB_ID=" + std::to_string(launch.key.job));
  container.env.push_back("PXFS_TASK_ID=" + std::to_string(launch.key.task));
  container.env.push_back("PXFS_TASK_COUNT=" + std::to_string(launch.task_count));
  container.env.push_back("PXFS_NODE=" + options_.node_name);
  if (!spec.workdir().empty()) {
    container.workdir = spec.workdir();
  } else if (!image.workdir.empty()) {
    container.workdir = image.workdir;
  }
  return container;
}

Status LocalNode::WriteManifests(const Task& task, const std::vector<std::string>& files) const {
  const std::string info = BundleOf(task.launch.key) + "/info";
  PXFS_TRY(MakeDirectories(info, 0755));
  std::string lines, zeros;
  for (const auto& file : files) {
    lines += file + "\n";
    zeros += file + '\0';
  }
  PXFS_TRY(WriteFileAtomically(info + "/inputs", lines, 0644));
  return WriteFileAtomically(info + "/inputs0", zeros, 0644);
}

Status LocalNode::Clean(TaskKey key) {
  PXFS_TRY(RemoveContainer(ContainerId(key)));
  return RemoveViews(options_.volumes, key);
}

Status LocalNode::RemoveContainer(const std::string& id) {
  const std::string bundle = BundleOf(id);
  const bool unmonitored = ::access(bundle.c_str(), F_OK) == 0 && !ReadPid(bundle + "/monitor.pid");
  if (unmonitored) PXFS_TRY(KillMakersOf(id));
  PXFS_TRY(OciRuntime::DeleteAny(run_directory_, id));
  PXFS_TRY(Cgroup(id).Destroy());
  // The monitor notices the end of its container by itself.
  if (const auto pid = ReadPid(bundle + "/monitor.pid"); pid && IsMonitorOf(*pid, id)) {
    if (const auto monitor = OpenPidfd(*pid); monitor && !AwaitEnd(*monitor, kMonitorTimeout)) {
      PXFS_TRY(SendSignal(*monitor, SIGKILL));
    }
    PXFS_TRY(OciRuntime::DeleteAny(run_directory_, id));  // the exit status it wrote meanwhile
  }
  // Mount points, empty outside of the namespace that the runtime used; rmdir can never remove
  // anything else.
  for (const char* directory : {"/rootfs", "/scratch"}) {
    if (::rmdir((bundle + directory).c_str()) != 0 && errno != ENOENT) {
      return FailErrno(errno, bundle + directory);
    }
  }
  std::error_code error;
  fs::remove_all(bundle, error);
  if (error) return FailErrno(error.value(), bundle);
  return {};
}

std::string ToString(TaskKey key) {
  return std::to_string(key.job) + "." + std::to_string(key.task);
}

Result<TaskKey> ParseTaskKey(std::string_view text) {
  TaskKey key;
  const char* end = text.data() + text.size();
  const auto job = std::from_chars(text.data(), end, key.job);
  if (job.ec == std::errc() && job.ptr != end && *job.ptr == '.') {
    const auto task = std::from_chars(job.ptr + 1, end, key.task);
    if (task.ec == std::errc() && task.ptr == end) return key;
  }
  return Fail(Code::kInvalid, "'" + std::string(text) + "' is not JOB.TASK");
}

}  // namespace pxfs::jobs
