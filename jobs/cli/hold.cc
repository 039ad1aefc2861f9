// pxfs-job hold and release
#include <memory>

#include "jobs/cli/command.h"

namespace pxfs::jobs::cli {
namespace {

void AddOne(CLI::App& app, Context& context, const char* name, const char* help, bool hold) {
  auto* verb = app.add_subcommand(name, help);
  const auto ids = std::make_shared<std::vector<uint64_t>>();
  verb->add_option("ID", *ids, "the jobs")->required();
  verb->callback([&context, ids, hold] {
    context.run = [&context, ids, hold] {
      auto client = Connect(context);
      if (!client) return Complain(client.error());
      int status = 0;
      for (const uint64_t id : *ids) {
        proto::HoldRequest request;
        request.set_id(id);
        request.set_hold(hold);
        if (auto done = client->Hold(request); !done) status = Complain(done.error());
      }
      return status;
    };
  });
}

}  // namespace

void AddHold(CLI::App& app, Context& context) {
  AddOne(app, context, "hold", "keep queued jobs from starting", true);
  AddOne(app, context, "release", "let held jobs start", false);
}

}  // namespace pxfs::jobs::cli
