#include "mount_helpers/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "base/descriptor_limit.h"
#include "base/logging.h"
#include "base/memory_pressure.h"
#include "base/mount_registry.h"
#include "base/pass_descriptor.h"
#include "cli/cluster.h"
#include "cli/host.h"
#include "cli/paths.h"
#include "fs/connection_state.h"
#include "fs/dev_fuse_transport.h"
#include "fs/session.h"
#include "mount_helpers/fusermount.h"
#include "mount_helpers/hand_over.h"
#include "mount_helpers/mount_watcher.h"
#include "mount_helpers/program.h"

namespace pxfs::mount_helpers {
namespace {

// How long requests that run may take until the daemon ends all the same.
constexpr std::chrono::seconds kDrainTime{2};

bool IsRoot() { return ::geteuid() == 0; }

// The last words to who waits for the mount; see mount_helpers/program.h.
void Tell(const std::string& lines) {
  const UniqueFd status(kStatusFd);
  // Nobody listens to a successor; that is no error.
  (void)WriteAll(status.get(), lines + "\n");
}

using Clock = std::chrono::steady_clock;

class Daemon {
 public:
  explicit Daemon(const MountOptions& options) : options_(options) {}

  // Everything up to the point where requests can be answered.
  Status Prepare();
  // Answers them; returns when the file system is unmounted.
  Status Serve();
  void Finish();

 private:
  Status OpenCluster();
  Status CheckHidesNothing() const;
  Status Mount();
  Status MountAsOrdinaryUser();
  Status OpenMetadataSession();
  void MakeTransport(UniqueFd device);
  void ForgetCaches();
  std::string Restrictions() const;
  std::string OfflineVolumes() const;
  void Ready();
  Status LearnOptions();
  void OptionsAre(const std::string& options);
  void MountGone(const std::string& device);
  [[noreturn]] void HandOver();

  const MountOptions& options_;
  const Clock::time_point started_ = Clock::now();
  std::unique_ptr<fs::ConnectionState> state_;
  std::unique_ptr<cli::Cluster> cluster_;
  std::unique_ptr<volumes::HeatTable> heat_;
  std::unique_ptr<cli::Host> host_;  // null: another process serves the cluster
  std::unique_ptr<volumes::Maintenance> maintenance_;
  fs::CacheRevoker revoker_;
  SessionId session_id_;
  bool session_is_new_ = true;
  fs::DevFuseTransport::Options transport_options_;
  std::unique_ptr<fs::DevFuseTransport> transport_;
  std::unique_ptr<fs::FileSystem> file_system_;
  std::unique_ptr<fs::Session> session_;
  std::atomic<bool> present_{false};  // the mount is at its mount point
  std::unique_ptr<MountWatcher> watcher_;
  std::unique_ptr<HandOverWatcher> orders_;
  std::unique_ptr<MemoryPressure> pressure_;
};

std::string LogFileFor(const MountOptions& options, const ClusterIdentity& identity) {
  if (!options.log_file.empty()) return options.log_file;
  std::string name = options.mountpoint;
  std::replace(name.begin(), name.end(), '/', '-');
  return identity.log_directory() + "/mount" + name + ".log";
}

Status Daemon::OpenCluster() {
  PXFS_ASSIGN(const ClusterIdentity identity, ReadIdentity(options_.cluster_directory));
  if (!options_.foreground) {
    PXFS_TRY(MakeDirectories(identity.log_directory()));
    PXFS_TRY(InitLogging({LogFileFor(options_, identity), options_.log_level}));
  } else {
    PXFS_TRY(InitLogging({"", options_.log_level}));
  }
  // Another process may just be leaving the cluster: umount does not wait for it.
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(options_.lock_wait_seconds));
  PXFS_ASSIGN(cluster_, cli::Cluster::Open(options_.cluster_directory, cli::Access::kAny, wait,
                                           cli::kSessionGrace, options_.max_inodes));
  if (!state_->mounted()) PXFS_TRY(CheckHidesNothing());
  if (cluster_->embedded()) {
    cli::HostOptions host;
    // Containers see the whole namespace, which a mount of a part of it does not show, and run as
    // whoever submitted them, which an ordinary user cannot bring about. Where root is squashed it
    // cannot bind what others may read.
    host.mountpoint = [this] {
      return present_ && options_.subdirectory.empty() && IsRoot() && !options_.root_squash
                 ? options_.mountpoint
                 : "";
    };
    host.hot.cool_down = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(options_.hot_cool_down_seconds));
    PXFS_ASSIGN(host_, cli::Host::Start(*cluster_, std::move(host)));
  } else {
    PXFS_TRY(cluster_->volumes().Refresh());
    maintenance_ =
        std::make_unique<volumes::Maintenance>(cluster_->metadata(), cluster_->volumes());
  }
  return {};
}

// What lies below the mount point is out of reach once something is mounted there.
Status Daemon::CheckHidesNothing() const {
  const std::string& mountpoint = options_.mountpoint;
  const auto refuse = [&](const std::string& what) {
    return Fail(Code::kInvalid, "mount point " + mountpoint + ": the mount would hide " + what +
                                    "; choose a directory that holds neither the cluster nor a "
                                    "volume");
  };
  if (cli::IsWithin(cluster_->identity().directory, mountpoint))
    return refuse("the cluster directory " + cluster_->identity().directory);
  PXFS_ASSIGN(const std::vector<meta::VolumeInfo> volumes, cluster_->metadata().ListVolumes());
  for (const meta::VolumeInfo& volume : volumes) {
    if (cli::IsWithin(volume.path, mountpoint))
      return refuse("the volume " + volume.name + " at " + volume.path);
  }
  return {};
}

// A successor takes over the session of the daemon before it, with its grants and orphans.
Status Daemon::OpenMetadataSession() {
  meta::SessionSpec spec;
  spec.description = "mount " + options_.mountpoint;
  spec.listener = &revoker_;
  spec.holder = ::getppid();
  spec.resume = SessionId(state_->session());
  auto session = cluster_->metadata().OpenSession(spec);
  if (!session && session.error() == Code::kNotFound && spec.resume) {
    log::warn("session {} is gone; its open files were recovered as closed", spec.resume.value);
    spec.resume = {};
    session = cluster_->metadata().OpenSession(spec);
  }
  if (!session) return Fail(session.error());
  session_is_new_ = !spec.resume;
  session_id_ = *session;
  state_->session() = session_id_.value;
  return {};
}

void Daemon::MakeTransport(UniqueFd device) {
  fs::DevFuseTransport::Options& transport_options = transport_options_;
  // Registering a backing takes CAP_SYS_ADMIN.
  transport_options.passthrough = options_.passthrough != Passthrough::kOff && IsRoot();
  const auto processors = static_cast<int>(std::thread::hardware_concurrency());
  transport_options.threads = std::clamp(2 * processors, 4, 16);
  transport_options.polling_threads = std::clamp(processors, 1, transport_options.threads / 2);
  transport_ =
      std::make_unique<fs::DevFuseTransport>(std::move(device), *state_, transport_options);
}

// What others changed while no daemon was there to be told must not stay in the kernel's caches;
// and as long as nobody answers requests, nothing gets into them. So from here on this mount has
// nothing to drop until it serves, and others need not wait for that.
void Daemon::ForgetCaches() {
  if (auto expired = transport_->ExpireAllNames(); !expired)
    log::warn("names that are cached may be out of date: {}", expired.error().message());
}

Status Daemon::Prepare() {
  ::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
  PXFS_ASSIGN(state_, fs::ConnectionState::Adopt(UniqueFd(kStateFd)));
  MakeTransport(UniqueFd(kDeviceFd));
  if (state_->mounted()) ForgetCaches();
  PXFS_TRY(OpenCluster());
  PXFS_TRY(OpenMetadataSession());

  fs::FileSystemOptions fs_options;
  fs_options.attr_timeout_seconds = options_.attr_timeout_seconds;
  fs_options.entry_timeout_seconds = options_.entry_timeout_seconds;
  fs_options.negative_timeout_seconds = options_.negative_timeout_seconds;
  fs_options.cluster_directory = cluster_->identity().directory;
  heat_ = cli::OpenHeatTable(cluster_->identity());
  fs_options.heat = heat_.get();
  if (options_.root_squash) {
    fs::Anonymous& anonymous = fs_options.squash.emplace();
    anonymous.uid = options_.anonymous_uid.value_or(anonymous.uid);
    anonymous.gid = options_.anonymous_gid.value_or(anonymous.gid);
  }
  fs_options.max_open = options_.max_open;
  fs_options.max_descriptors = ObjectDescriptors();
  fs_options.max_requests = static_cast<size_t>(transport_options_.threads);
  if (!options_.subdirectory.empty()) {
    auto root = cluster_->metadata().Resolve({.session = session_id_}, kRootInode,
                                             options_.subdirectory, true);
    if (!root) return Fail(root.error().WithContext("subdir=" + options_.subdirectory));
    if (!root->is_directory())
      return Fail(Code::kNotDirectory, "subdir=" + options_.subdirectory + ": not a directory");
    fs_options.root = root->inode;
  }

  file_system_ = std::make_unique<fs::FileSystem>(cluster_->metadata(), cluster_->volumes(),
                                                  *transport_, *state_, session_id_, fs_options);
  PXFS_ASSIGN(session_, fs::Session::Create(*file_system_, *transport_, revoker_));
  if (state_->mounted()) {
    PXFS_TRY(LearnOptions());
    file_system_->TreatAllAsOrphans();
    if (session_is_new_) file_system_->open_files().RegainGrants();
    return {};
  }
  PXFS_TRY(IsRoot() ? Mount() : MountAsOrdinaryUser());
  state_->SetMounted();
  return LearnOptions();
}

Status Daemon::Mount() {
  std::string data = "fd=" + std::to_string(kDeviceFd) + ",rootmode=40000,user_id=0,group_id=0";
  if (AllowsOthers(options_)) data += ",allow_other";
  if (options_.default_permissions) data += ",default_permissions";
  if (::mount(options_.source.c_str(), options_.mountpoint.c_str(), "fuse.pxfs", options_.flags,
              data.c_str()) != 0)
    return FailErrno(errno, "mounting on " + options_.mountpoint);
  return {};
}

// What is at kDeviceFd is a socket of the supervisor's until then.
Status Daemon::MountAsOrdinaryUser() {
  PXFS_ASSIGN(const std::string words, FusermountOptions(options_));
  PXFS_ASSIGN(const UniqueFd device, MountByFusermount(options_.mountpoint, words));
  PXFS_TRY(SendDescriptor(kDeviceFd, device.get()));
  if (::dup3(device.get(), kDeviceFd, O_CLOEXEC) < 0) return FailErrno(errno, "dup of /dev/fuse");
  return {};
}

// The watcher comes later than the first requests.
Status Daemon::LearnOptions() {
  const auto options = OptionsOfMount(options_.mountpoint);
  if (options) OptionsAre(*options);
  // Unmounted already: nobody will know of access times.
  return options || options.error() == Code::kNotFound ? Status() : Fail(options.error());
}

// A warning that says what a mount of an ordinary user does without.
std::string Daemon::Restrictions() const {
  if (IsRoot()) return "";
  return kWarning + options_.mountpoint + ": mounted as user " + std::to_string(::geteuid()) +
         (AllowsOthers(options_) ? ", " : ", for this user alone, ") +
         "without passthrough (data goes through the daemon), jobs, set-id programs and devices; "
         "root can mount with all of them\n";
}

// A warning for each volume that is not here: the rest is served.
std::string Daemon::OfflineVolumes() const {
  std::string warnings;
  const auto volumes = cluster_->metadata().ListVolumes();
  if (!volumes) return "";  // said by who asks for a file of one
  for (const meta::VolumeInfo& volume : *volumes) {
    if (const auto here = cluster_->volumes().Require(volume.id); !here)
      warnings +=
          kWarning + here.error().message() + "; its files cannot be opened until it is back\n";
  }
  return warnings;
}

void Daemon::Ready() {
  const fs::Capabilities capabilities = transport_->capabilities();
  if (options_.passthrough == Passthrough::kOn && !capabilities.passthrough && IsRoot())
    log::error(
        "passthrough=on: this kernel has none (Linux 6.9 and later do); data goes through the "
        "daemon");
  MountRecord record;
  record.mountpoint = options_.mountpoint;
  record.supervisor_pid = ::getppid();
  record.daemon_pid = ::getpid();
  record.version = PXFS_VERSION;
  record.transport = transport_->name();
  record.passthrough = capabilities.passthrough;
  record.serves_cluster = host_ != nullptr;
  record.root_squash = options_.root_squash;
  if (auto written = WriteMountRecord(cluster_->identity().run_directory(), record); !written)
    log::error("registering the mount: {}", written.error().message());
  log::info("{} on {}: serving{}, {} ms after this daemon's start", options_.source,
            options_.mountpoint, capabilities.passthrough ? " with passthrough" : "",
            std::chrono::floor<std::chrono::milliseconds>(Clock::now() - started_).count());
  // Not earlier: who waits for the mount may look for its record next.
  Tell(Restrictions() + OfflineVolumes() + "ok");
  auto watcher = MountWatcher::Start(
      options_.mountpoint, [this](const std::string& options) { OptionsAre(options); },
      [this](const std::string& device) { MountGone(device); });
  if (!watcher) {  // unmounted already: the requests will end
    log::warn("{}", watcher.error().message());
    return;
  }
  watcher_ = std::move(*watcher);
  auto orders = HandOverWatcher::Start(UniqueFd(kOrderFd), [this] { HandOver(); });
  if (orders)
    orders_ = std::move(*orders);
  else
    log::error("this mount cannot be upgraded: {}", orders.error().message());
  if (auto pressure = MemoryPressure::Watch([this] { file_system_->ShrinkCaches(); }))
    pressure_ = std::move(*pressure);
  else
    log::info("idle files are kept when memory is short: {}", pressure.error().message());
  present_ = true;
  if (host_) host_->MountReady();
}

// Those that the kernel keeps for the mount, and that a remount changes.
void Daemon::OptionsAre(const std::string& options) {
  file_system_->SetAccessTimes(AccessTimes::FromMountOptions(options));
}

// Containers have the file system mounted too, and would keep it alive; others may do so as well.
void Daemon::MountGone(const std::string& device) {
  present_ = false;
  if (host_) host_->EndJobs();
  const std::string holders = WhoElseHasMounted(device);
  if (!holders.empty())
    log::warn(
        "{}: unmounted here, but processes in other mount namespaces have it mounted, and it is "
        "served until they end: {}",
        options_.mountpoint, holders);
}

// Everything that lasts is in the store and in the connection's state, and nobody asks any more: so
// the end of the process is all that is left to do, and the successor need not wait for more.
void Daemon::HandOver() {
  if (auto drained = transport_->Drain(kDrainTime); !drained)
    log::warn("handing over: {}; they are sent again", drained.error().message());
  if (host_) host_->HandOver(kDrainTime);
  log::info("handing over to the next daemon");
  FlushLog();
  ::_exit(kHandedOver);
}

Status Daemon::Serve() {
  auto served = session_->Run([this] { Ready(); });
  // HandOver has made it return, and ends the process.
  if (orders_ && orders_->began()) orders_.reset();
  if (served) log::info("{}: unmounted", options_.mountpoint);
  return served;
}

// Leaves in order: first what uses the mount, then the session, then what others use.
void Daemon::Finish() {
  const pid_t supervisor = ::getppid();
  orders_.reset();
  watcher_.reset();
  pressure_.reset();
  session_.reset();
  file_system_.reset();
  transport_.reset();
  RemoveMountRecord(cluster_->identity().run_directory(), supervisor);
  if (auto closed = cluster_->metadata().CloseSession(session_id_); !closed)
    log::error("closing the metadata session: {}", closed.error().message());
  if (auto synced = cluster_->metadata().Sync(); !synced)
    log::error("flushing metadata: {}", synced.error().message());
  if (host_) {
    if (auto waited = host_->WaitForOtherMounts(session_id_); !waited)
      log::error("waiting for other mounts to end: {}", waited.error().message());
    host_->Stop();
  }
  maintenance_.reset();
  host_.reset();
  cluster_.reset();
}

}  // namespace

int RunDaemon(const MountOptions& options) {
  ::prctl(PR_SET_NAME, "pxfs-mount");
  // They are for this process, and for no program that it starts.
  for (int fd : {kDeviceFd, kStateFd, kStatusFd, kOrderFd}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  Daemon daemon(options);
  if (auto prepared = daemon.Prepare(); !prepared) {
    log::error("{}", prepared.error().message());
    Tell(prepared.error().message());
    return 1;
  }
  auto served = daemon.Serve();
  if (!served) log::error("{}", served.error().message());
  daemon.Finish();
  return 0;
}

}  // namespace pxfs::mount_helpers
