#include <cstdio>

#include "cli/output.h"
#include "cli/verbs/verbs.h"

namespace pxfs::cli {

void AddVersion(CLI::App& app, Command& command) {
  CLI::App* verb =
      AddVerb(app, command, "version", "Print the version", [&command]() -> Result<int> {
        if (command.json)
          PrintJson({{"version", PXFS_VERSION}});
        else
          std::printf("pxfs %s\n", PXFS_VERSION);
        return kOk;
      });
  AddJsonOption(*verb, command);
}

}  // namespace pxfs::cli
