// mkdir, rmdir, and reading directories while they change.
#include <dirent.h>

#include <algorithm>
#include <set>

#include "tests/mount/scenario.h"

namespace pxfs::test {
namespace {

std::string Number(const char* prefix, int i) { return prefix + std::to_string(i); }

std::vector<std::string> ReadNames(DIR* directory, int limit) {
  std::vector<std::string> names;
  while (limit-- > 0) {
    const dirent* entry = ::readdir(directory);
    if (!entry) break;
    names.emplace_back(entry->d_name);
  }
  return names;
}

// Of the names with this prefix: how many there are, and that none came twice.
void NoteSeen(Probe& p, const std::vector<std::string>& names, const std::string& prefix) {
  std::vector<std::string> matching;
  std::copy_if(names.begin(), names.end(), std::back_inserter(matching),
               [&](const std::string& name) { return name.starts_with(prefix); });
  const std::set<std::string> distinct(matching.begin(), matching.end());
  p.Note(prefix + ": " + std::to_string(distinct.size()) +
         (distinct.size() == matching.size() ? " names, each once" : " names, some twice"));
}

}  // namespace

PXFS_SCENARIO(DirectoryMakeAndRemove) {
  p.Stat(".");
  p.Mkdir("d", 0777);
  p.Stat("d");
  p.Mkdir("d");
  p.Mkdir("missing/d");
  p.Make("file");
  p.Mkdir("file/d");
  p.Mkdir("file");
  p.Mkdir("d/sub", 01750);
  p.Stat("d");
  p.Stat("d/sub");
  p.Rmdir("d");
  p.Rmdir("d/sub");
  p.Rmdir("file");
  p.Rmdir("missing");
  p.Rmdir("d/.");
  p.Rmdir("d/..");
  p.Rmdir(".");
  p.Rmdir("..");
  p.Unlink("d");
  p.Rmdir("d");
  p.Stat("d");
  p.Stat(".");
  p.Mkdir("");
  p.Rmdir("");
  p.Symlink("nowhere", "link");
  p.Mkdir("link");
  p.Rmdir("link");
  p.Unlink("link");
  p.Unlink("link");
}

PXFS_SCENARIO(DirectoryLinkCountFollowsSubdirectories) {
  p.Mkdir("d");
  for (int i = 0; i < 10; ++i) p.Mkdir(Number("d/sub", i));
  p.Stat("d");
  p.Make("d/file");
  p.Stat("d");
  p.Mkdir("e");
  p.Rename("d/sub0", "e/sub0");
  p.Rename("d/sub1", "d/other");
  p.Rename("d/sub2", "d/sub3");
  p.Stat("d");
  p.Stat("e");
  p.Rmdir("d/sub4");
  p.Stat("d");
  p.StatFollow("d/sub5/..");
}

PXFS_SCENARIO(DirectoryListing) {
  p.Mkdir("d");
  p.List("d");
  p.Make("d/file");
  p.Mkdir("d/directory");
  p.Symlink("file", "d/symlink");
  p.Mknod("d/fifo", S_IFIFO | 0600);
  p.Mknod("d/char", S_IFCHR | 0600, 0x103);
  p.List("d");
  p.List("d/file");
  p.List("missing");
  for (int i = 0; i < 3'000; ++i) {
    if (::mknod(Number("d/n", i).c_str(), S_IFREG | 0600, 0) != 0) p.Note("mknod failed");
  }
  p.List("d");
}

PXFS_SCENARIO(DirectorySeekTell) {
  p.Mkdir("d");
  for (int i = 0; i < 500; ++i) ::mknod(Number("d/stays", i).c_str(), S_IFREG | 0600, 0);
  DIR* directory = ::opendir("d");
  if (!directory) return p.Note("cannot open d");
  const auto first = ReadNames(directory, 200);
  const long position = ::telldir(directory);
  const auto rest = ReadNames(directory, 10'000);
  p.Note(std::to_string(first.size() + rest.size()) + " entries");
  ::seekdir(directory, position);
  p.Note(ReadNames(directory, 10'000) == rest ? "the same after seekdir"
                                              : "different after seekdir");
  ::rewinddir(directory);
  std::vector<std::string> all = first;
  all.insert(all.end(), rest.begin(), rest.end());
  p.Note(ReadNames(directory, 10'000) == all ? "the same after rewinddir"
                                             : "different after rewinddir");
  ::closedir(directory);
}

PXFS_SCENARIO(DirectoryChangesWhileRead) {
  p.Mkdir("d");
  for (int i = 0; i < 2'000; ++i) {
    ::mknod(Number("d/stays", i).c_str(), S_IFREG | 0600, 0);
    ::mknod(Number("d/goes", i).c_str(), S_IFREG | 0600, 0);
  }
  DIR* directory = ::opendir("d");
  if (!directory) return p.Note("cannot open d");
  auto names = ReadNames(directory, 500);
  const long position = ::telldir(directory);
  for (int i = 0; i < 2'000; ++i) {
    ::unlink(Number("d/goes", i).c_str());
    ::mknod(Number("d/comes", i).c_str(), S_IFREG | 0600, 0);
  }
  ::seekdir(directory, position);
  const auto rest = ReadNames(directory, 100'000);
  names.insert(names.end(), rest.begin(), rest.end());
  NoteSeen(p, names, "stays");
  ::rewinddir(directory);
  names = ReadNames(directory, 100'000);
  NoteSeen(p, names, "stays");
  NoteSeen(p, names, "comes");
  NoteSeen(p, names, "goes");
  ::closedir(directory);
}

PXFS_SCENARIO(DirectoryRemovedWhileReadingIt) {
  p.Mkdir("d");
  for (int i = 0; i < 1'000; ++i) ::mknod(Number("d/f", i).c_str(), S_IFREG | 0600, 0);
  // As rm -r does: read some, remove those, read on.
  DIR* directory = ::opendir("d");
  if (!directory) return p.Note("cannot open d");
  int removed = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && ::unlink(("d/" + name).c_str()) == 0) ++removed;
  }
  ::closedir(directory);
  p.Note(std::to_string(removed) + " removed");
  p.Rmdir("d");
}

PXFS_SCENARIO(DirectoryDotDot) {
  p.Mkdir("a");
  p.Mkdir("a/b");
  p.Make("top");
  p.StatFollow("a/b/../../top");
  p.StatFollow("a/b/.");
  p.StatFollow("top/..");
  p.Do("chdir a/b", [] { return ::chdir("a/b"); });
  p.StatFollow("../../top");
  p.Rename("..", "../../c");
  p.Do("rename of the current directory's parent",
       [] { return ::rename("../../a", "../../moved"); });
  p.StatFollow("../../moved/b");
  p.StatFollow(".");
  p.List("..");
  p.Do("rmdir of the current directory", [] { return ::rmdir("../../moved/b"); });
  p.List(".");
  p.Make("here");
  p.Mkdir("sub");
  p.StatFollow(".");
  p.Do("getcwd", [] {
    char path[4096];
    return ::getcwd(path, sizeof path) ? 0 : -1;
  });
}

}  // namespace pxfs::test
