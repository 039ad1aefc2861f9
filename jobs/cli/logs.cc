// pxfs-job logs
#include <memory>

#include "jobs/cli/command.h"
#include "jobs/cli/output.h"

namespace pxfs::jobs::cli {
namespace {

struct Options {
  uint64_t id = 0;
  int64_t task = -1;
  OutputOptions output;
};

int Logs(const Context& context, const Options& options) {
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  const auto printed =
      options.task < 0
          ? PrintAllOutput(*client, options.id, options.output)
          : PrintOutput(*client, options.id, static_cast<uint32_t>(options.task), options.output);
  return printed ? 0 : Complain(printed.error());
}

}  // namespace

void AddLogs(CLI::App& app, Context& context) {
  auto* logs =
      app.add_subcommand("logs", "what a job's tasks wrote to standard output and standard error");
  const auto options = std::make_shared<Options>();
  logs->add_option("ID", options->id, "the job")->required();
  logs->add_flag("-f,--follow", options->output.follow, "wait for more until the job has ended");
  logs->add_option("-n,--tail", options->output.tail_lines, "only the last lines")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  logs->add_option("--task", options->task, "only this task (counted from 0)")
      ->type_name("K")
      ->check(CLI::NonNegativeNumber);
  logs->add_flag("--stderr", options->output.only_stderr, "only standard error");
  logs->callback([&context, options] {
    context.run = [&context, options] { return Logs(context, *options); };
  });
}

}  // namespace pxfs::jobs::cli
