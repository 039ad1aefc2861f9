// Names and paths: lengths, bytes, slashes.
#include "tests/mount/scenario.h"

namespace pxfs::test {

PXFS_SCENARIO(NameLengths) {
  for (const size_t length : {1, 254, 255, 256, 1000}) {
    const std::string name(length, 'n');
    p.Make(name, "x");
    p.Stat(name);
    p.Mkdir(std::string(length, 'd'));
    p.Symlink("target", std::string(length, 's'));
    p.Link("n", std::string(length, 'l'));
    p.Rename("n", std::string(length, 'r'));
    p.Rename(std::string(length, 'r'), "n");
    p.Mknod(std::string(length, 'f'), S_IFIFO | 0600);
    p.Open(std::string(length, 'm'), O_RDONLY);
    p.Unlink(std::string(length, 'u'));
    p.Rmdir(std::string(length, 'v'));
  }
  p.List(".");
}

PXFS_SCENARIO(NamesOfAnyByte) {
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    const std::string name = std::string("b") + static_cast<char>(byte);
    p.Make(name, name);
  }
  p.Make("\xff\xfe\x80", "no UTF-8");
  p.Make(" leading and trailing ", "blanks");
  p.Make("new\nline", "x");
  p.Make("...", "dots");
  p.Make("..hidden", "dots");
  p.Make("-rf", "dash");
  p.Make("Case", "upper");
  p.Make("case", "lower");
  p.Make("\xc3\xa9", "composed");
  p.Make("e\xcc\x81", "decomposed");
  p.List(".");
  p.Content("Case");
  p.Content("case");
  p.Content("\xc3\xa9");
  p.Content("e\xcc\x81");
}

PXFS_SCENARIO(PathLengths) {
  const std::string component(250, 'p');
  std::string path;
  for (int depth = 0; depth < 18; ++depth) {
    path += (depth ? "/" : "") + component;
    p.Mkdir(path);
    p.Stat(path);
  }
  std::string dots;
  while (dots.size() < 4'094) dots += "./";
  p.Stat(dots);
  p.Stat(dots + "/.");
  p.Stat(std::string(5'000, '/'));
  p.Stat("");
  p.Open("", O_RDONLY);
}

PXFS_SCENARIO(DeepTree) {
  int depth = 0;
  while (depth < 300 && ::mkdir("d", 0755) == 0 && ::chdir("d") == 0) ++depth;
  p.Note(std::to_string(depth) + " levels");
  p.Make("bottom", "deep");
  p.Content("bottom");
  p.Stat(".");
  p.Stat("../../../..");
}

PXFS_SCENARIO(TrailingSlashes) {
  p.Make("file", "x");
  p.Mkdir("d");
  p.Symlink("d", "to_d");
  p.Symlink("file", "to_file");
  p.Symlink("nowhere", "dangling");
  for (const char* path :
       {"file/", "d/", "d//", "d/.", "to_d/", "to_file/", "dangling/", "missing/"}) {
    p.Stat(path);
    p.Open(path, O_RDONLY);
    p.Open(path, O_WRONLY | O_CREAT);
    p.Readlink(path);
    p.Unlink(path);
    p.Access(path, F_OK);
    p.Truncate(path, 0);
  }
  p.Mkdir("new/");
  p.Mkdir("new2///");
  p.Mkdir("dangling/");
  p.Symlink("t", "link/");
  p.Link("file", "hard/");
  p.Link("file/", "hard");
  p.Mknod("fifo/", S_IFIFO | 0600);
  p.Rename("file", "renamed/");
  p.Rename("file/", "renamed");
  p.Rename("new/", "renamed/");
  p.Rename("to_d/", "elsewhere");
  p.Rename("d", "to_d/");
  p.Rmdir("renamed/");
  p.Rmdir("to_d/");
  p.Rmdir("file/");
  p.Tree(".");
}

}  // namespace pxfs::test
