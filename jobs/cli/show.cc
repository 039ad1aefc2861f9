// pxfs-job show: everything about one job. pxfs-job explain: why it waits, or why it ran where it
// did.
#include <cstdio>
#include <memory>

#include "base/bytes.h"
#include "jobs/cli/command.h"
#include "jobs/cli/format.h"
#include "jobs/record.h"

namespace pxfs::jobs::cli {
namespace {

struct Options {
  uint64_t id = 0;
  bool json = false;
};

void Field(const char* name, const std::string& value) {
  if (!value.empty()) std::printf("%-11s %s\n", name, value.c_str());
}

std::string Amount(uint64_t files, uint64_t bytes) {
  return std::to_string(files) + (files == 1 ? " file, " : " files, ") + FormatBytes(bytes);
}

void PrintJob(const proto::JobRecord& job) {
  const proto::JobSpec& spec = job.spec();
  Field("job", std::to_string(job.id()) + (spec.name().empty() ? "" : " (" + spec.name() + ")"));
  Field("state",
        std::string(Name(job.state())) + (job.message().empty() ? "" : ": " + job.message()));
  if (IsEnded(job.state())) Field("exit", std::to_string(job.exit_status()));
  Field("user", UserName(job.user().uid()));
  Field("command", FormatCommand(spec));
  Field("image", spec.image());
  for (const auto& input : spec.inputs()) Field("input", "pxfs:" + input);
  if (!spec.output().empty()) Field("output", "pxfs:" + spec.output());
  Field("submitted", FormatTime(job.submitted_ms()));
  Field("started", FormatTime(job.started_ms()));
  Field("ended", FormatTime(job.ended_ms()));
  Field("waited", FormatSpan(job.submitted_ms(), job.started_ms()));
  Field("ran", FormatSpan(job.started_ms(), job.ended_ms()));
}

void PrintRoutes(const proto::ShowReply& reply) {
  proto::Routes sum;
  for (const auto& task : reply.tasks()) {
    sum.set_fast_files(sum.fast_files() + task.routes().fast_files());
    sum.set_fast_bytes(sum.fast_bytes() + task.routes().fast_bytes());
    sum.set_fuse_files(sum.fuse_files() + task.routes().fuse_files());
    sum.set_fuse_bytes(sum.fuse_bytes() + task.routes().fuse_bytes());
    sum.set_output_files(sum.output_files() + task.routes().output_files());
    sum.set_output_bytes(sum.output_bytes() + task.routes().output_bytes());
  }
  Field("fast path", Amount(sum.fast_files(), sum.fast_bytes()) + " of input");
  Field("fuse", Amount(sum.fuse_files(), sum.fuse_bytes()) + " of input");
  Field("published", Amount(sum.output_files(), sum.output_bytes()));
}

void PrintTasks(const proto::ShowReply& reply) {
  if (reply.tasks_size() == 0) return;
  std::vector<std::vector<std::string>> rows = {{"TASK", "STATE", "NODE", "TRY", "RAN", "EXIT",
                                                 "FAST PATH", "FUSE", "OUTPUT", "PEAK MEMORY",
                                                 "CPU", "MESSAGE"}};
  for (const auto& task : reply.tasks()) {
    const auto& routes = task.routes();
    char cpu[32];
    std::snprintf(cpu, sizeof cpu, "%.2fs", static_cast<double>(task.cpu_ns()) / 1e9);
    rows.push_back({std::to_string(task.index()), Name(task.state()), task.node(),
                    std::to_string(task.attempt()), FormatSpan(task.started_ms(), task.ended_ms()),
                    IsEnded(task.state()) ? std::to_string(task.exit_status()) : "-",
                    FormatBytes(routes.fast_bytes()), FormatBytes(routes.fuse_bytes()),
                    FormatBytes(routes.output_bytes()), FormatBytes(task.peak_memory_bytes()), cpu,
                    task.message()});
  }
  std::printf("\n");
  PrintTable(rows);
}

int Show(const Context& context, const Options& options) {
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  const auto reply = client->Show(options.id);
  if (!reply) return Complain(reply.error());
  if (options.json) {
    std::printf("%s\n", ToJson(*reply).dump(2).c_str());
    return 0;
  }
  PrintJob(reply->job());
  for (const auto& reason : reply->reasons()) Field("why", reason);
  PrintRoutes(*reply);
  PrintTasks(*reply);
  return 0;
}

int Explain(const Context& context, const Options& options) {
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  const auto reply = client->Show(options.id);
  if (!reply) return Complain(reply.error());
  if (options.json) {
    const nlohmann::json all = ToJson(*reply);
    std::printf("%s\n", nlohmann::json({{"id", all["id"]},
                                        {"state", all["state"]},
                                        {"reasons", all["reasons"]},
                                        {"tasks", all["tasks"]}})
                            .dump(2)
                            .c_str());
    return 0;
  }
  std::printf("job %llu is %s\n", static_cast<unsigned long long>(options.id),
              Name(reply->job().state()));
  for (const auto& reason : reply->reasons()) std::printf("  %s\n", reason.c_str());
  for (const auto& task : reply->tasks()) {
    if (task.attempt() == 0) continue;
    const auto& routes = task.routes();
    std::printf("  task %u: on node %s, where %s of its %s of input are on the fast path\n",
                task.index(), task.node().c_str(), FormatBytes(routes.fast_bytes()).c_str(),
                FormatBytes(routes.fast_bytes() + routes.fuse_bytes()).c_str());
  }
  return 0;
}

void AddOne(CLI::App& app, Context& context, const char* name, const char* help,
            int (*run)(const Context&, const Options&)) {
  auto* verb = app.add_subcommand(name, help);
  const auto options = std::make_shared<Options>();
  verb->add_option("ID", options->id, "the job")->required();
  verb->add_flag("--json", options->json, "print JSON");
  verb->callback([&context, options, run] {
    context.run = [&context, options, run] { return run(context, *options); };
  });
}

}  // namespace

void AddShow(CLI::App& app, Context& context) {
  AddOne(app, context, "show", "everything about a job", Show);
}

void AddExplain(CLI::App& app, Context& context) {
  AddOne(app, context, "explain", "why a job waits, or ran where it did", Explain);
}

}  // namespace pxfs::jobs::cli
