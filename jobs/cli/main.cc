// pxfs-job: submits jobs and looks after them. One verb a file; they speak to the process that
// serves the cluster.
#include <algorithm>
#include <cstdio>

#include "jobs/cli/command.h"

namespace {

using namespace pxfs::jobs::cli;

int Main(int argc, char** argv) {
  Context context;
  std::vector<std::string> words(argv + 1, argv + argc);
  // A command with options of its own stands behind "--".
  const auto dash = std::find(words.begin(), words.end(), "--");
  if (dash != words.end()) {
    context.has_dash = true;
    context.after_dash.assign(dash + 1, words.end());
    words.erase(dash, words.end());
  }

  CLI::App app("Runs containers where the data is.", "pxfs-job");
  app.set_version_flag("--version", std::string("pxfs-job ") + PXFS_VERSION);
  app.add_option(
      "--cluster", context.cluster,
      "cluster directory (default: $PXFS_CLUSTER, the mount that the paths lie in, or the "
      "only mount)");
  app.require_subcommand(1);
  AddSubmit(app, context);
  AddList(app, context);
  AddShow(app, context);
  AddLogs(app, context);
  AddWait(app, context);
  AddCancel(app, context);
  AddHold(app, context);
  AddRetry(app, context);
  AddExplain(app, context);
  AddHistory(app, context);

  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    app.parse(words);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // help and version
    // CLI11 misses a subcommand before it looks at the word that was meant as one.
    const std::vector<std::string> unknown = app.remaining();
    const std::string what = dynamic_cast<const CLI::RequiredError*>(&e) && !unknown.empty()
                                 ? "'" + unknown.front() + "': no such command"
                                 : e.what();
    std::fprintf(stderr, "pxfs-job: %s; see pxfs-job --help\n", what.c_str());
    return kUsage;
  }
  const bool is_submit = app.got_subcommand("submit");
  if (context.has_dash && !is_submit) {
    std::fprintf(stderr, "pxfs-job: only submit takes a command; see pxfs-job --help\n");
    return kUsage;
  }
  return context.run();
}

}  // namespace

int main(int argc, char** argv) { return Main(argc, argv); }
