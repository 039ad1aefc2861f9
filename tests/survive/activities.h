// What programs do with a mount that depends on state which lasts: open files, maps, locks,
// directories, watches. Each works in a directory of its own, which it makes.
#pragma once

#include <memory>
#include <string>

#include "tests/survive/activity.h"

namespace pxfs::test {

// Appends numbered lines to a file that stays open, reads each back through another descriptor, and
// at the end finds all of them in order.
std::unique_ptr<Activity> MakeAppender(const std::string& directory);
// Writes and reads a shared map of a file; what one map writes another one and read(2) see.
std::unique_ptr<Activity> MakeMapper(const std::string& directory);
// Holds flock(2), fcntl(2) and OFD locks, and asks for the same ones elsewhere: refused every time.
std::unique_ptr<Activity> MakeLockHolder(const std::string& directory);
// Uses names relative to a directory that it holds (fchdir would be the whole test's), also one
// that was renamed meanwhile.
std::unique_ptr<Activity> MakeDirectoryHolder(const std::string& directory);
// Reads and writes a file that has no name any more.
std::unique_ptr<Activity> MakeOrphanHolder(const std::string& directory);
// Watches a directory with inotify, makes and removes names there, and hears of each.
std::unique_ptr<Activity> MakeWatcher(const std::string& directory);
// fio: random writes to files, and what they are is verified; `engine` is psync or mmap.
std::unique_ptr<Activity> MakeFio(const std::string& directory, const std::string& engine);
// Runs a program again and again; it must end with 0.
std::unique_ptr<Activity> MakeProgram(const std::string& name, std::vector<std::string> argv);

// One of each of those above that need no other argument, and fio with both engines, below
// `directory`.
std::vector<std::unique_ptr<Activity>> MakeHolders(const std::string& directory);

}  // namespace pxfs::test
