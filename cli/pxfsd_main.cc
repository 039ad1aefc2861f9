// pxfsd: serves a cluster without mounting it.
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <string>

#include "base/descriptor_limit.h"
#include "base/logging.h"
#include "base/mount_registry.h"
#include "base/unique_fd.h"
#include "cli/cluster.h"
#include "cli/host.h"

namespace pxfs::cli {
namespace {

struct DaemonOptions {
  std::string cluster;
  std::string log_file;
  std::string log_level = "info";
  double lock_wait_seconds = 30;
  size_t max_inodes = 0;
  double hot_cool_down_seconds = 600;
};

// Blocks until SIGTERM or SIGINT, which must be blocked.
Status WaitForEnd(const sigset_t& signals) {
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) return FailErrno(errno, "signalfd");
  signalfd_siginfo info;
  while (::read(fd.get(), &info, sizeof info) < 0) {
    if (errno != EINTR) return FailErrno(errno, "signalfd");
  }
  log::info("ending on signal {}", info.ssi_signo);
  return {};
}

Status Run(const DaemonOptions& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  PXFS_TRY(InitLogging({options.log_file, options.log_level}));
  RaiseDescriptorLimit();
  PXFS_ASSIGN(const std::string directory, FindCluster(options.cluster));
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(options.lock_wait_seconds));
  PXFS_ASSIGN(auto cluster,
              Cluster::Open(directory, Access::kServe, wait, kSessionGrace, options.max_inodes));
  const std::string run_directory = cluster->identity().run_directory();
  HostOptions host_options;
  host_options.mountpoint = [run_directory] {
    for (const MountRecord& mount : ListMountRecords(run_directory))
      if (!mount.root_squash) return mount.mountpoint;
    return std::string();
  };
  host_options.hot.cool_down = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(options.hot_cool_down_seconds));
  PXFS_ASSIGN(auto host, Host::Start(*cluster, std::move(host_options)));
  log::info("serving {}", directory);
  std::puts("ready");
  std::fflush(stdout);
  PXFS_TRY(WaitForEnd(signals));
  host->Stop();
  return cluster->metadata().Sync();
}

}  // namespace
}  // namespace pxfs::cli

int main(int argc, char** argv) {
  pxfs::cli::DaemonOptions options;
  CLI::App app{"pxfsd: serves a pxfs cluster on this node"};
  app.set_version_flag("--version", "pxfsd " PXFS_VERSION);
  app.add_option("--cluster", options.cluster, "Cluster directory")->required();
  app.add_option("--log-file", options.log_file, "Log to this file instead of standard error");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error or off");
  app.add_option("--lock-wait", options.lock_wait_seconds,
                 "How long to wait for another process that has the cluster open (30)")
      ->check(CLI::Range(0.0, 1e6))
      ->type_name("SECONDS");
  app.add_option(
         "--max-inodes", options.max_inodes,
         "How many inodes to keep in memory, and names as many: about 0.8 KiB for one of each "
         "(200000)")
      ->check(CLI::Range(size_t{1000}, size_t{1'000'000'000}))
      ->type_name("N");
  app.add_option("--hot-cool-down", options.hot_cool_down_seconds,
                 "How long copies that were made because a file was wanted by many stay when it is "
                 "so no more (600)")
      ->check(CLI::Range(0.0, 1e9))
      ->type_name("SECONDS");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    std::fprintf(stderr, "pxfsd: %s; see pxfsd --help\n", e.what());
    return 2;
  }
  if (auto done = pxfs::cli::Run(options); !done) {
    std::fprintf(stderr, "pxfsd: %s\n", done.error().message().c_str());
    return 1;
  }
  return 0;
}
