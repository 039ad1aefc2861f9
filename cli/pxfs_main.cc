// `pxfs`: administration and data commands.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "base/logging.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/verbs/verbs.h"

namespace pxfs::cli {
namespace {

// The verb, as far as the arguments named one: where to look for help.
std::string ParsedVerb(const CLI::App& app) {
  std::string verb;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    verb += " " + at->get_name();
  }
  return verb;
}

// CLI11 misses a subcommand before it looks at the word that was meant as one.
std::string WhatIsWrong(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (!dynamic_cast<const CLI::RequiredError*>(&error) || unknown.empty()) return error.what();
  const std::string& word = unknown.front();
  return "'" + word + "': no such " + (word.starts_with("-") ? "option" : "command");
}

int Usage(const CLI::App& app, const CLI::ParseError& error) {
  const std::string verb = ParsedVerb(app);
  PrintError(verb.empty() ? "" : verb.substr(1),
             WhatIsWrong(app, error) + "; try 'pxfs" + verb + " --help'");
  return kUsage;
}

int Run(int argc, char** argv) {
  CLI::App app{"pxfs: one namespace over many volumes, with jobs that run where the data is"};
  Command command;
  app.name("pxfs");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", "pxfs " PXFS_VERSION);
  AddClusterOptions(app, command);
  app.require_subcommand(1);
  AddFormat(app, command);
  AddStatus(app, command);
  AddDf(app, command);
  AddVersion(app, command);
  AddVolumeVerbs(app, command);
  AddIngest(app, command);
  AddWhere(app, command);
  AddInfo(app, command);
  AddHot(app, command);
  AddPolicyVerbs(app, command);
  AddCopiesVerbs(app, command);
  AddWishVerbs(app, command);
  AddMountVerbs(app, command);
  AddScrub(app, command);
  AddFsck(app, command);
  AddDump(app, command);
  AddLoad(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" with the status 0.
    return error.get_exit_code() == 0 ? app.exit(error) : Usage(app, error);
  }
  const Result<int> status = command.run();
  if (!status) {
    PrintError(command.verb, status.error().message());
    return kFailed;
  }
  if (std::fflush(stdout) != 0) {
    PrintError(command.verb, "cannot write to standard output");
    return kFailed;
  }
  return *status;
}

}  // namespace
}  // namespace pxfs::cli

int main(int argc, char** argv) {
  try {
    // What the libraries tell a daemon's log; a command says most of it itself.
    if (const auto logging = pxfs::InitLogging({.file = "", .level = "error", .prefix = "pxfs: "});
        !logging) {
      pxfs::cli::PrintError("", logging.error().message());
      return pxfs::cli::kFailed;
    }
    return pxfs::cli::Run(argc, argv);
  } catch (const std::exception& error) {
    pxfs::cli::PrintError("", std::string("internal error: ") + error.what());
    return pxfs::cli::kFailed;
  }
}
