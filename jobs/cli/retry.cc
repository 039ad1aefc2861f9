// pxfs-job retry: submits an ended job once more, as a new one.
#include <cstdio>
#include <memory>

#include "jobs/cli/command.h"
#include "jobs/record.h"

namespace pxfs::jobs::cli {
namespace {

int Retry(const Context& context, uint64_t id) {
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  const auto shown = client->Show(id);
  if (!shown) return Complain(shown.error());
  const auto& job = shown->job();
  if (!IsEnded(job.state())) {
    return Complain(Error(Code::kInvalid, "job " + std::to_string(id) + " is " + Name(job.state()) +
                                              "; only one that has ended can be tried again"));
  }
  proto::SubmitRequest request;
  *request.mutable_spec() = job.spec();
  *request.mutable_run_as() = job.user();
  const auto reply = client->Submit(request);
  if (!reply) return Complain(reply.error());
  std::printf("%llu\n", static_cast<unsigned long long>(reply->id()));
  return 0;
}

}  // namespace

void AddRetry(CLI::App& app, Context& context) {
  auto* retry =
      app.add_subcommand("retry", "submit a job that has ended once more; prints the new id");
  const auto id = std::make_shared<uint64_t>(0);
  retry->add_option("ID", *id, "the job")->required();
  retry->callback([&context, id] { context.run = [&context, id] { return Retry(context, *id); }; });
}

}  // namespace pxfs::jobs::cli
