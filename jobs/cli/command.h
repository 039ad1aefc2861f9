// What the verbs of pxfs-job share: options, connecting, paths, and how they end.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/client.h"

namespace pxfs::jobs::cli {

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kTimedOut = 124;
inline constexpr int kNotLaunched = 125;

struct Context {
  std::string cluster;                  // --cluster
  std::vector<std::string> after_dash;  // what stands behind the first "--"
  bool has_dash = false;
  std::function<int()> run;  // of the verb that was given
};

// Each adds its verb to the program.
void AddSubmit(CLI::App& app, Context& context);
void AddList(CLI::App& app, Context& context);
void AddShow(CLI::App& app, Context& context);
void AddLogs(CLI::App& app, Context& context);
void AddCancel(CLI::App& app, Context& context);
void AddWait(CLI::App& app, Context& context);
void AddHold(CLI::App& app, Context& context);
void AddRetry(CLI::App& app, Context& context);
void AddExplain(CLI::App& app, Context& context);
void AddHistory(CLI::App& app, Context& context);

// Connects to the process that serves the cluster meant by the options, or by the mount that `path`
// lies in.
Result<Client> Connect(const Context& context, const std::string& path = "");

// "pxfs-job: MESSAGE" on standard error; returns `status`.
int Complain(const Error& error, int status = kFailed);

// The namespace path of a path as people give it; what is below the last directory that exists need
// not exist.
Result<std::string> ToNamespacePath(const std::string& path);
// The same for an input, with its globs expanded where it names nothing itself.
Result<std::vector<std::string>> ExpandInput(const std::string& path);

// Blocks until the job has ended.
Result<proto::JobRecord> AwaitEnd(Client& client, uint64_t id);
// The status that a command ends with which waited for the job.
int ExitStatusOf(const proto::JobRecord& job);

}  // namespace pxfs::jobs::cli
