// pxfs-job cancel, also stop
#include <memory>

#include "base/quantities.h"
#include "jobs/cli/command.h"

namespace pxfs::jobs::cli {
namespace {

struct Options {
  std::vector<uint64_t> ids;
  std::string grace = "10s";
};

int Cancel(const Context& context, const Options& options) {
  const auto grace = ParseDuration(options.grace);
  if (!grace) return Complain(grace.error().WithContext("--grace"), kUsage);
  auto client = Connect(context);
  if (!client) return Complain(client.error());
  int status = 0;
  for (const uint64_t id : options.ids) {
    proto::CancelRequest request;
    request.set_id(id);
    request.set_grace_ms(static_cast<uint64_t>(grace->count()));
    if (auto done = client->Cancel(request); !done) status = Complain(done.error());
  }
  return status;
}

}  // namespace

void AddCancel(CLI::App& app, Context& context) {
  auto* cancel =
      app.add_subcommand("cancel", "end jobs; what they wrote is not published")->alias("stop");
  const auto options = std::make_shared<Options>();
  cancel->add_option("ID", options->ids, "the jobs")->required();
  cancel->add_option("--grace", options->grace, "between SIGTERM and SIGKILL (default 10s)")
      ->type_name("DURATION");
  cancel->callback([&context, options] {
    context.run = [&context, options] { return Cancel(context, *options); };
  });
}

}  // namespace pxfs::jobs::cli
