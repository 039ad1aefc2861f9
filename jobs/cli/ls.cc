// pxfs-job ls, also ps: jobs that have not ended, or all. pxfs-job history: those that have.
#include <cstdio>
#include <memory>

#include "jobs/cli/command.h"
#include "jobs/cli/format.h"
#include "jobs/record.h"

namespace pxfs::jobs::cli {
namespace {

struct Options {
  bool all = false;
  bool json = false;
  bool mine = false;
  size_t last = 50;
};

Result<std::vector<proto::JobRecord>> Fetch(Client& client, bool finished, bool mine) {
  std::vector<proto::JobRecord> jobs;
  proto::ListRequest request;
  request.set_finished(finished);
  request.set_all_users(!mine);
  while (true) {
    PXFS_ASSIGN(const auto reply, client.List(request));
    for (const auto& job : reply.jobs()) jobs.push_back(job);
    if (reply.end()) return jobs;
    request.set_after(jobs.back().id());
  }
}

void Print(const std::vector<proto::JobRecord>& jobs, bool as_json) {
  if (as_json) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& job : jobs) list.push_back(ToJson(job));
    std::printf("%s\n", list.dump(2).c_str());
    return;
  }
  std::vector<std::vector<std::string>> rows = {
      {"ID", "NAME", "USER", "STATE", "TASKS", "SUBMITTED", "WAITED", "RAN", "EXIT", "COMMAND"}};
  for (const auto& job : jobs) {
    const bool ended = IsEnded(job.state());
    rows.push_back({std::to_string(job.id()), job.spec().name().empty() ? "-" : job.spec().name(),
                    UserName(job.user().uid()), Name(job.state()),
                    job.task_count() ? std::to_string(job.task_count()) : "-",
                    FormatTime(job.submitted_ms()),
                    FormatSpan(job.submitted_ms(), job.started_ms()),
                    FormatSpan(job.started_ms(), job.ended_ms()),
                    ended ? std::to_string(job.exit_status()) : "-", FormatCommand(job.spec())});
  }
  PrintTable(rows);
}

int List(const Context& context, const Options& options) {
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  const auto jobs = Fetch(*client, options.all, options.mine);
  if (!jobs) return Complain(jobs.error());
  Print(*jobs, options.json);
  return 0;
}

int History(const Context& context, const Options& options) {
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  auto jobs = Fetch(*client, /*finished=*/true, options.mine);
  if (!jobs) return Complain(jobs.error());
  std::erase_if(*jobs, [](const auto& job) { return !IsEnded(job.state()); });
  if (jobs->size() > options.last) {
    jobs->erase(jobs->begin(), jobs->end() - static_cast<std::ptrdiff_t>(options.last));
  }
  Print(*jobs, options.json);
  return 0;
}

}  // namespace

void AddList(CLI::App& app, Context& context) {
  auto* list = app.add_subcommand("ls", "jobs that have not ended")->alias("ps");
  const auto options = std::make_shared<Options>();
  list->add_flag("-a,--all", options->all, "also those that have ended");
  list->add_flag("--mine", options->mine, "only one's own (root sees all jobs)");
  list->add_flag("--json", options->json, "print JSON");
  list->callback([&context, options] {
    context.run = [&context, options] { return List(context, *options); };
  });
}

void AddHistory(CLI::App& app, Context& context) {
  auto* history = app.add_subcommand("history", "jobs that have ended, the last at the end");
  const auto options = std::make_shared<Options>();
  history->add_option("-n", options->last, "how many (default 50)")->type_name("N");
  history->add_flag("--mine", options->mine, "only one's own (root sees all jobs)");
  history->add_flag("--json", options->json, "print JSON");
  history->callback([&context, options] {
    context.run = [&context, options] { return History(context, *options); };
  });
}

}  // namespace pxfs::jobs::cli
