// pxfs-job wait
#include <cstdio>
#include <memory>

#include "jobs/cli/command.h"
#include "jobs/cli/format.h"
#include "jobs/record.h"

namespace pxfs::jobs::cli {
namespace {

struct Options {
  std::vector<uint64_t> ids;
  bool json = false;
};

// The status of the first job, in the order given, that did not succeed.
int Wait(const Context& context, const Options& options) {
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  int status = 0;
  nlohmann::json list = nlohmann::json::array();
  for (const uint64_t id : options.ids) {
    const auto job = AwaitEnd(*client, id);
    if (!job) return Complain(job.error());
    if (options.json) list.push_back(ToJson(*job));
    if (job->state() == proto::JOB_SUCCEEDED) continue;
    std::fprintf(stderr, "pxfs-job: job %llu %s: %s\n", static_cast<unsigned long long>(id),
                 Name(job->state()), job->message().c_str());
    if (status == 0) status = ExitStatusOf(*job);
  }
  if (options.json) std::printf("%s\n", list.dump(2).c_str());
  return status;
}

}  // namespace

void AddWait(CLI::App& app, Context& context) {
  auto* wait = app.add_subcommand(
      "wait", "wait for the end of jobs; exits as the first that did not succeed");
  const auto options = std::make_shared<Options>();
  wait->add_option("ID", options->ids, "the jobs")->required();
  wait->add_flag("--json", options->json, "print JSON");
  wait->callback([&context, options] {
    context.run = [&context, options] { return Wait(context, *options); };
  });
}

}  // namespace pxfs::jobs::cli
