// An operation that a daemon had begun, or even done, when it was killed before it could answer, is
// sent to the next daemon again. The program that asked for it sees that it happened, once. The
// daemon is killed at every step of the serving of every kind of operation.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "tests/crash/store_inspection.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"
#include "tests/survive/crash_control.h"
#include "tests/survive/daemon_killer.h"

namespace pxfs::test {
namespace {

constexpr std::chrono::seconds kLimit(20);
constexpr int kMaxSteps = 60;

Status Check(bool good, const std::string& what) {
  return good ? Status{} : FailErrno(errno ? errno : EIO, what);
}

// The files and directories of one round, in a directory of its own.
class Place {
 public:
  explicit Place(std::string directory) : directory_(std::move(directory)) {}

  std::string operator/(const std::string& name) const { return directory_ + "/" + name; }
  Status Make(const std::string& name, const std::string& content = "") const {
    PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, *this / name, O_WRONLY | O_CREAT | O_EXCL, 0644));
    return WriteAll(fd.get(), content);
  }
  bool Has(const std::string& name) const {
    struct stat st;
    return ::lstat((*this / name).c_str(), &st) == 0;
  }
  struct stat Stat(const std::string& name) const {
    struct stat st {};
    if (::lstat((*this / name).c_str(), &st) != 0) st.st_nlink = 9999;
    return st;
  }
  std::string Content(const std::string& name) const {
    auto content = ReadFile(*this / name);
    return content ? *content : content.error().message();
  }
  size_t Entries() const {
    auto listed = RunProgram({"ls", "-A", directory_});
    if (!listed) return 9999;
    return static_cast<size_t>(std::count(listed->output.begin(), listed->output.end(), '\n'));
  }

  UniqueFd held;  // an open file that a round keeps

 private:
  const std::string directory_;
};

using Do = std::function<Status(Place&)>;
struct Operation {
  std::string name;
  uint32_t opcode;
  Do prepare;  // without a kill
  Do act;      // during which the daemon is killed
  Do verify;   // what has come of it
};

const Do kNothing = [](Place&) { return Status{}; };
const Do kMakeFile = [](Place& at) { return at.Make("file", "content"); };

Do Call(const std::string& what, std::function<int(Place&)> call) {
  return [=](Place& at) {
    errno = 0;
    return Check(call(at) == 0, what);
  };
}
Do Expect(const std::string& what, std::function<bool(Place&)> holds) {
  return [=](Place& at) {
    errno = 0;
    return Check(holds(at), "expected: " + what);
  };
}
Do OpenHeld(const std::string& name, int flags) {
  return [=](Place& at) -> Status {
    PXFS_ASSIGN(at.held, OpenAt(AT_FDCWD, at / name, flags, 0644));
    return {};
  };
}
Do Both(Do first, Do second) {
  return [=](Place& at) -> Status {
    PXFS_TRY(first(at));
    return second(at);
  };
}
Do WriteHeld(const std::string& bytes) {
  return Call("write", [=](Place& at) {
    return ::write(at.held.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())
               ? 0
               : -1;
  });
}
const Do kCloseHeld = Call("close", [](Place& at) { return ::close(at.held.release()); });

std::vector<Operation> Operations() {
  std::vector<Operation> all;
  const auto add = [&](std::string name, uint32_t opcode, Do prepare, Do act, Do verify) {
    all.push_back({std::move(name), opcode, std::move(prepare), std::move(act), std::move(verify)});
  };
  add("create", FUSE_CREATE, kNothing,
      Both(OpenHeld("file", O_RDWR | O_CREAT | O_EXCL), WriteHeld("content")),
      Both(kCloseHeld,
           Expect("the content", [](Place& at) { return at.Content("file") == "content"; })));
  add("create for reading", FUSE_CREATE, kNothing, OpenHeld("file", O_RDONLY | O_CREAT | O_EXCL),
      Both(kCloseHeld, Expect("one empty file", [](Place& at) {
             return at.Entries() == 1 && at.Content("file").empty();
           })));
  add("create without a name", FUSE_TMPFILE, kNothing, OpenHeld("", O_TMPFILE | O_RDWR),
      Both(WriteHeld("content"), Both(Call("linkat",
                                           [](Place& at) {
                                             return ::linkat(at.held.get(), "", AT_FDCWD,
                                                             (at / "file").c_str(), AT_EMPTY_PATH);
                                           }),
                                      Both(kCloseHeld, Expect("the content", [](Place& at) {
                                             return at.Entries() == 1 &&
                                                    at.Content("file") == "content";
                                           })))));
  add("mkdir", FUSE_MKDIR, kNothing,
      Call("mkdir", [](Place& at) { return ::mkdir((at / "dir").c_str(), 0750); }),
      Expect("a directory", [](Place& at) {
        return at.Entries() == 1 && at.Stat("dir").st_mode == (S_IFDIR | 0750) &&
               at.Stat("").st_nlink == 3;
      }));
  add("mknod of a device", FUSE_MKNOD, kNothing,
      Call("mknod",
           [](Place& at) { return ::mknod((at / "null").c_str(), S_IFCHR | 0600, makedev(1, 3)); }),
      Expect("a device", [](Place& at) { return at.Stat("null").st_rdev == makedev(1, 3); }));
  add("mknod of a file", FUSE_MKNOD, kNothing,
      Call("mknod", [](Place& at) { return ::mknod((at / "file").c_str(), S_IFREG | 0600, 0); }),
      Expect("an empty file", [](Place& at) { return at.Content("file").empty(); }));
  add("symlink", FUSE_SYMLINK, kNothing,
      Call("symlink", [](Place& at) { return ::symlink("target", (at / "link").c_str()); }),
      Expect("a symlink", [](Place& at) { return S_ISLNK(at.Stat("link").st_mode); }));
  add("link", FUSE_LINK, kMakeFile,
      Call("link",
           [](Place& at) { return ::link((at / "file").c_str(), (at / "second").c_str()); }),
      Expect("two names", [](Place& at) {
        return at.Stat("file").st_nlink == 2 && at.Stat("second").st_ino == at.Stat("file").st_ino;
      }));
  add("unlink", FUSE_UNLINK, kMakeFile,
      Call("unlink", [](Place& at) { return ::unlink((at / "file").c_str()); }),
      Expect("nothing", [](Place& at) { return at.Entries() == 0; }));
  add("unlink of an open file", FUSE_UNLINK, Both(kMakeFile, OpenHeld("file", O_RDWR)),
      Call("unlink", [](Place& at) { return ::unlink((at / "file").c_str()); }),
      Both(Expect("its content",
                  [](Place& at) {
                    char bytes[8] = {};
                    return at.Entries() == 0 && ::pread(at.held.get(), bytes, 8, 0) == 7;
                  }),
           kCloseHeld));
  add("rmdir", FUSE_RMDIR,
      Call("mkdir", [](Place& at) { return ::mkdir((at / "dir").c_str(), 0755); }),
      Call("rmdir", [](Place& at) { return ::rmdir((at / "dir").c_str()); }),
      Expect("nothing", [](Place& at) { return at.Entries() == 0 && at.Stat("").st_nlink == 2; }));
  add("rename", FUSE_RENAME, kMakeFile,
      Call("rename",
           [](Place& at) { return ::rename((at / "file").c_str(), (at / "new").c_str()); }),
      Expect("the new name",
             [](Place& at) { return at.Entries() == 1 && at.Content("new") == "content"; }));
  add("rename onto a file", FUSE_RENAME,
      Both(kMakeFile, [](Place& at) { return at.Make("new", "old"); }),
      Call("rename",
           [](Place& at) { return ::rename((at / "file").c_str(), (at / "new").c_str()); }),
      Expect("the new content",
             [](Place& at) { return at.Entries() == 1 && at.Content("new") == "content"; }));
  const auto rename2 = [](unsigned flags) {
    return Call("renameat2", [=](Place& at) {
      return ::renameat2(AT_FDCWD, (at / "file").c_str(), AT_FDCWD, (at / "new").c_str(), flags);
    });
  };
  add("exchange", FUSE_RENAME2, Both(kMakeFile, [](Place& at) { return at.Make("new", "other"); }),
      rename2(RENAME_EXCHANGE), Expect("exchanged contents", [](Place& at) {
        return at.Content("new") == "content" && at.Content("file") == "other";
      }));
  add("rename without replacing", FUSE_RENAME2, kMakeFile, rename2(RENAME_NOREPLACE),
      Expect("the new name", [](Place& at) { return at.Content("new") == "content"; }));
  const auto set_xattr = [](const char* value, int flags) {
    return Call("setxattr", [=](Place& at) {
      return ::setxattr((at / "file").c_str(), "user.a", value, 1, flags);
    });
  };
  const auto xattr = [](Place& at) {
    char value[8] = {};
    const ssize_t n = ::getxattr((at / "file").c_str(), "user.a", value, sizeof value);
    return n < 0 ? std::string("none") : std::string(value, static_cast<size_t>(n));
  };
  add("setxattr that creates", FUSE_SETXATTR, kMakeFile, set_xattr("1", XATTR_CREATE),
      Expect("the value", [=](Place& at) { return xattr(at) == "1"; }));
  add("setxattr that replaces", FUSE_SETXATTR, Both(kMakeFile, set_xattr("1", 0)),
      set_xattr("2", XATTR_REPLACE),
      Expect("the new value", [=](Place& at) { return xattr(at) == "2"; }));
  add("removexattr", FUSE_REMOVEXATTR, Both(kMakeFile, set_xattr("1", 0)),
      Call("removexattr", [](Place& at) { return ::removexattr((at / "file").c_str(), "user.a"); }),
      Expect("no value", [=](Place& at) { return xattr(at) == "none"; }));
  add("chmod", FUSE_SETATTR, kMakeFile,
      Call("chmod", [](Place& at) { return ::chmod((at / "file").c_str(), 0751); }),
      Expect("the mode", [](Place& at) { return at.Stat("file").st_mode == (S_IFREG | 0751); }));
  add("truncate", FUSE_SETATTR, kMakeFile,
      Call("truncate", [](Place& at) { return ::truncate((at / "file").c_str(), 3); }),
      Expect("the start", [](Place& at) {
        return at.Stat("file").st_size == 3 && at.Content("file") == "con";
      }));
  add("ftruncate", FUSE_SETATTR, Both(kMakeFile, OpenHeld("file", O_WRONLY)),
      Call("ftruncate", [](Place& at) { return ::ftruncate(at.held.get(), 3); }),
      Both(kCloseHeld, Expect("the start", [](Place& at) {
             return at.Stat("file").st_size == 3 && at.Content("file") == "con";
           })));
  add("open for writing", FUSE_OPEN, kMakeFile, OpenHeld("file", O_WRONLY | O_APPEND),
      Both(WriteHeld("+"), Both(kCloseHeld, Expect("both", [](Place& at) {
                                  return at.Content("file") == "content+";
                                }))));
  add("open that truncates", FUSE_OPEN, kMakeFile, OpenHeld("file", O_WRONLY | O_TRUNC),
      Both(WriteHeld("+"), Both(kCloseHeld, Expect("what came then", [](Place& at) {
                                  return at.Content("file") == "+";
                                }))));
  add("open for reading", FUSE_OPEN, kMakeFile, OpenHeld("file", O_RDONLY),
      Both(Expect("the content",
                  [](Place& at) {
                    char bytes[8] = {};
                    return ::pread(at.held.get(), bytes, 8, 0) == 7;
                  }),
           kCloseHeld));
  add("append", FUSE_WRITE, Both(kMakeFile, OpenHeld("file", O_WRONLY | O_APPEND)),
      Both(WriteHeld("+"), WriteHeld("-")), Both(kCloseHeld, Expect("each once", [](Place& at) {
                                                   return at.Content("file") == "content+-";
                                                 })));
  add("fallocate", FUSE_FALLOCATE, Both(kMakeFile, OpenHeld("file", O_WRONLY)),
      Call("fallocate", [](Place& at) { return ::fallocate(at.held.get(), 0, 0, 8192); }),
      Both(kCloseHeld,
           Expect("the size", [](Place& at) { return at.Stat("file").st_size == 8192; })));
  add("last close of a writer", FUSE_RELEASE,
      Both(kMakeFile, Both(OpenHeld("file", O_WRONLY | O_APPEND), WriteHeld("+"))), kCloseHeld,
      Expect("the content", [](Place& at) {
        return at.Content("file") == "content+" && at.Stat("file").st_size == 8;
      }));
  add("last close of a reader", FUSE_RELEASE, Both(kMakeFile, OpenHeld("file", O_RDONLY)),
      kCloseHeld, Expect("the content", [](Place& at) { return at.Content("file") == "content"; }));
  return all;
}

struct Variant {
  Shape shape;
  std::string options;
  bool by_default;
};
void PrintTo(const Variant& variant, std::ostream* out) {
  *out << ToString(variant.shape) << " " << variant.options;
}

class Repetition : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    if (!GetParam().by_default && !LongRun()) GTEST_SKIP() << "only with PXFS_LONG=1";
    const std::string file = scratch_ / "control";
    auto fd = OpenAt(AT_FDCWD, file, O_RDWR | O_CREAT, 0600);
    ASSERT_TRUE(fd);
    ASSERT_EQ(::ftruncate(fd->get(), sizeof(CrashControl)), 0);
    void* shared =
        ::mmap(nullptr, sizeof(CrashControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0);
    ASSERT_NE(shared, MAP_FAILED);
    control_ = new (shared) CrashControl;
    ::setenv(kCrashControlVariable, file.c_str(), 1);
    ::setenv("LD_PRELOAD", PXFS_CRASH_SHIM, 1);
    auto mounted = MountedCluster::Start({.shape = GetParam().shape,
                                          .options = GetParam().options,
                                          .cluster = {.volumes = 2, .ext4_image = true}});
    ::unsetenv("LD_PRELOAD");
    ::unsetenv(kCrashControlVariable);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
  }
  void TearDown() override {
    mounted_.reset();
    if (control_) ::munmap(control_, sizeof(CrashControl));
  }

  // One operation, with the daemon killed before its step number `step`. False: there is no such
  // step, the operation came to its end.
  Result<bool> Round(const Operation& operation, int step);
  // Nothing is left open: what an operation took, it gave back.
  Status WaitForNothingOpen();

  TemporaryDirectory scratch_;
  CrashControl* control_ = nullptr;
  std::unique_ptr<MountedCluster> mounted_;
  int rounds_ = 0;
};

Status Repetition::WaitForNothingOpen() {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  std::string said;
  do {
    PXFS_ASSIGN(const Outcome status,
                RunApart({Program("pxfs"), "--cluster", mounted_->cluster().directory(), "status",
                          "--json"}));
    said = status.output + status.errors;
    const auto json = nlohmann::json::parse(status.output, nullptr, false);
    if (json.is_object() && json["cluster"]["open_for_write"] == 0) return {};
  } while (std::chrono::steady_clock::now() < deadline);
  return Fail(Code::kTimeout, "something stays open for writing: " + said);
}

Result<bool> Repetition::Round(const Operation& operation, int step) {
  Place place(mounted_->path() + "/round" + std::to_string(rounds_++));
  PXFS_TRY(MakeDirectories(place / ""));
  PXFS_TRY(operation.prepare(place));
  // The releases of what was prepared are over, so that the next one is the operation's.
  if (!place.held) PXFS_TRY(WaitForNothingOpen());
  PXFS_ASSIGN(const MountRecord before,
              RecordOfMount(mounted_->cluster().directory(), mounted_->path()));
  control_->fired = 0;
  control_->steps_left = step;
  control_->opcode = operation.opcode;
  PXFS_TRY(operation.act(place));
  // A release is answered after close(2) has returned.
  if (operation.opcode == FUSE_RELEASE) PXFS_TRY(WaitForNothingOpen());
  control_->opcode = 0;
  const bool fired = control_->fired != 0;
  if (fired) {
    PXFS_TRY(
        WaitForSuccessor(mounted_->cluster().directory(), mounted_->path(), before.daemon_pid));
  }
  PXFS_TRY(operation.verify(place));
  place.held.reset();
  PXFS_TRY(WaitForNothingOpen());
  return fired;
}

TEST_P(Repetition, AnOperationHappensOnceWhereverTheDaemonDies) {
  int kills = 0;
  for (const Operation& operation : Operations()) {
    int step = 0;
    for (; step < kMaxSteps; ++step) {
      const auto fired = Round(operation, step);
      EXPECT_TRUE(fired) << operation.name << ", killed before step " << step << ": "
                         << fired.error().message();
      if (!fired || !*fired) break;
      ++kills;
    }
    EXPECT_LT(step, kMaxSteps) << operation.name << " does not end";
    // With passthrough no daemon sees a write.
    const bool seen = operation.opcode != FUSE_WRITE || GetParam().options == "passthrough=off";
    EXPECT_EQ(step > 0, seen) << operation.name;
  }
  std::printf("%d kills, %d rounds\n", kills, rounds_);
  ASSERT_STATUS(mounted_->Stop());
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

// An open for writing that moves the file to a volume with room first.
TEST_P(Repetition, AMoveIsDoneOnceWhereverTheDaemonDies) {
  const auto reserve = [this](const std::string& volume, const std::string& size) {
    return RunOk({Program("pxfs"), "volume", "set", volume, "reserve=" + size, "--cluster",
                  mounted_->cluster().directory()});
  };
  const std::string content(300'000, 'x');
  Operation move;
  move.name = "open that moves";
  move.opcode = FUSE_OPEN;
  move.prepare = [&](Place& at) -> Status {
    PXFS_TRY(reserve("v1", "0"));
    PXFS_TRY(reserve("v2", "1T"));
    PXFS_TRY(at.Make("file", content));
    PXFS_TRY(WaitForNothingOpen());
    PXFS_TRY(reserve("v2", "0"));
    return reserve("v1", "1T");
  };
  move.act = OpenHeld("file", O_WRONLY | O_APPEND);
  move.verify = Both(WriteHeld("+"), Both(kCloseHeld, Expect("both", [&](Place& at) {
                                            return at.Content("file") == content + "+";
                                          })));
  int step = 0;
  for (; step < kMaxSteps; ++step) {
    const auto fired = Round(move, step);
    ASSERT_TRUE(fired) << "killed before step " << step << ": " << fired.error().message();
    if (!*fired) break;
  }
  EXPECT_GT(step, 5);
  EXPECT_LT(step, kMaxSteps);
  std::printf("%d kills\n", step);
  EXPECT_GE(mounted_->LoggedLines("to a volume with room").size(), 1u);
  ASSERT_STATUS(mounted_->Stop());
  const auto problems = InspectCluster(mounted_->cluster().directory());
  ASSERT_TRUE(problems) << problems.error().message();
  EXPECT_THAT(*problems, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Shapes, Repetition,
                         testing::Values(Variant{Shape::kEmbedded, "passthrough=auto", true},
                                         Variant{Shape::kEmbedded, "passthrough=off", false},
                                         Variant{Shape::kDaemon, "passthrough=auto", false},
                                         Variant{Shape::kDaemon, "passthrough=off", true}),
                         [](const testing::TestParamInfo<Variant>& info) {
                           return VariantName(info.param.shape, info.param.options);
                         });

}  // namespace
}  // namespace pxfs::test
