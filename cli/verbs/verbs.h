// The verbs of `pxfs`, one a file: each adds itself to the command line.
#pragma once

#include "cli/command.h"

namespace pxfs::cli {

void AddFormat(CLI::App& app, Command& command);
void AddStatus(CLI::App& app, Command& command);
void AddCopiesVerbs(CLI::App& app, Command& command);
void AddDf(CLI::App& app, Command& command);
void AddVersion(CLI::App& app, Command& command);
void AddVolumeVerbs(CLI::App& app, Command& command);
void AddIngest(CLI::App& app, Command& command);
void AddWhere(CLI::App& app, Command& command);
void AddWishVerbs(CLI::App& app, Command& command);
void AddFsck(CLI::App& app, Command& command);
void AddDump(CLI::App& app, Command& command);
void AddLoad(CLI::App& app, Command& command);
void AddScrub(CLI::App& app, Command& command);
void AddHot(CLI::App& app, Command& command);
void AddInfo(CLI::App& app, Command& command);
void AddMountVerbs(CLI::App& app, Command& command);
void AddPolicyVerbs(CLI::App& app, Command& command);

// Below `pxfs volume`.
void AddVolumeDrain(CLI::App& group, Command& command);
void AddVolumeRebalance(CLI::App& group, Command& command);
void AddVolumeRemove(CLI::App& group, Command& command);

}  // namespace pxfs::cli
