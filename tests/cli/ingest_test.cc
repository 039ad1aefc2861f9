// `pxfs ingest`: what arrives is what there was, and what cannot be brought in is said and left.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/cli/mounted_fixture.h"
#include "tests/support/long_run.h"
#include "tests/support/loop_image.h"
#include "tests/support/tree_digest.h"

namespace pxfs::test {
namespace {

namespace stdfs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class IngestTest : public MountedCliTest {
 protected:
  void SetUp() override {
    stdfs::create_directory(source_);
    Format(2);
  }

  // A tree with everything that a file system has.
  void MakeEverything() {
    for (const char* directory : {"/dir", "/dir/deep", "/empty", "/sticky"})
      ASSERT_TRUE(stdfs::create_directory(source_ + directory));
    ASSERT_EQ(::chmod((source_ + "/sticky").c_str(), 03777), 0);
    WriteText(source_ + "/empty-file", "");
    WriteText(source_ + "/small", "hello\n");
    WriteText(source_ + "/dir/large", std::string(3'000'001, 'x'));
    WriteText(source_ + "/dir/deep/setuid", "#!/bin/sh\n");
    ASSERT_EQ(::chown((source_ + "/dir/deep/setuid").c_str(), 1234, 5678), 0);
    ASSERT_EQ(::chmod((source_ + "/dir/deep/setuid").c_str(), 06755), 0);
    WriteText(source_ + "/unreadable", "secret");
    ASSERT_EQ(::chmod((source_ + "/unreadable").c_str(), 0), 0);
    WriteText(source_ + "/name \n\xff\t\\'\"*", "any bytes");
    WriteText(source_ + "/" + std::string(255, 'n'), "long name");
    // Sparse: a hole before, between and behind the data.
    const UniqueFd sparse(
        ::open((source_ + "/sparse").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    ASSERT_TRUE(sparse);
    ASSERT_EQ(::ftruncate(sparse.get(), 8 << 20), 0);
    ASSERT_EQ(::pwrite(sparse.get(), "data", 4, 1 << 20), 4);
    ASSERT_EQ(::pwrite(sparse.get(), "more", 4, 5 << 20), 4);
    // Names of one file, also across directories, and of a symlink and a FIFO.
    ASSERT_EQ(::link((source_ + "/small").c_str(), (source_ + "/dir/small-too").c_str()), 0);
    ASSERT_EQ(::link((source_ + "/small").c_str(), (source_ + "/zmall").c_str()), 0);
    ASSERT_EQ(::symlink("dir/large", (source_ + "/symlink").c_str()), 0);
    ASSERT_EQ(::symlink("/no/such/file", (source_ + "/dangling").c_str()), 0);
    ASSERT_EQ(::link((source_ + "/symlink").c_str(), (source_ + "/symlink-too").c_str()), 0);
    ASSERT_EQ(::lchown((source_ + "/symlink").c_str(), 11, 22), 0);
    ASSERT_EQ(::mkfifo((source_ + "/fifo").c_str(), 0620), 0);
    ASSERT_EQ(::link((source_ + "/fifo").c_str(), (source_ + "/dir/fifo-too").c_str()), 0);
    ASSERT_EQ(::mknod((source_ + "/socket").c_str(), S_IFSOCK | 0755, 0), 0);
    ASSERT_EQ(::mknod((source_ + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    ASSERT_EQ(::mknod((source_ + "/block").c_str(), S_IFBLK | 0600, makedev(259, 70000)), 0);
    // Attributes.
    const std::string value("v\0a", 3), large(2000, 'v');
    const auto set = [&](const std::string& path, const char* name, const std::string& text) {
      ASSERT_EQ(::lsetxattr((source_ + path).c_str(), name, text.data(), text.size(), 0), 0)
          << path << " " << name << ": " << std::strerror(errno);
    };
    set("/small", "user.note", value);
    set("/small", "trusted.note", large);
    set("/dir", "user.empty", "");
    set("/fifo", "trusted.note", value);
    set("/symlink", "trusted.note", value);
    EXPECT_STATUS(RunOk({"setfacl", "-m", "u:1234:rw,g:5678:r,m::rw", source_ + "/dir/large"}));
    EXPECT_STATUS(RunOk({"setfacl", "-m", "u:1234:rwx,d:u:1234:rwx,d:o::-", source_ + "/dir"}));
    // Times last, of directories at the very end.
    const auto date = [&](const std::string& path, time_t seconds, long nanoseconds) {
      const struct timespec times[2] = {{seconds - 1, 5}, {seconds, nanoseconds}};
      ASSERT_EQ(::utimensat(AT_FDCWD, (source_ + path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    };
    date("/small", -1'000'000, 123456789);
    date("/symlink", 12345, 999999999);
    date("/fifo", 5'000'000'000, 1);
    for (const char* directory : {"/dir/deep", "/dir", "/empty", "/sticky", ""})
      date(directory, 1'000'000'000, 42);
  }

  std::map<std::string, std::string> Digest(const std::string& directory) {
    auto digest = DigestTree(directory);
    EXPECT_TRUE(digest) << (digest ? "" : digest.error().message());
    return digest ? *digest : std::map<std::string, std::string>();
  }
  // Objects on all volumes.
  size_t Objects() {
    size_t count = 0;
    for (int i : {1, 2})
      for (const auto& entry : stdfs::recursive_directory_iterator(Volume(i) + "/objects"))
        count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
  // An ingest that brings in all but what its `errors` name.
  nlohmann::json Partly(Argv arguments, const std::vector<std::string>& errors) {
    arguments.insert(arguments.begin(), "ingest");
    arguments.push_back("--json");
    const Outcome outcome = Pxfs(arguments);
    EXPECT_EQ(outcome.status, 1);
    for (const std::string& error : errors) EXPECT_THAT(outcome.errors, HasSubstr(error));
    EXPECT_EQ(std::count(outcome.errors.begin(), outcome.errors.end(), '\n'),
              static_cast<ptrdiff_t>(errors.size()))
        << outcome.errors;
    const auto json = nlohmann::json::parse(outcome.output, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << outcome.output;
    EXPECT_EQ(json["failed"], errors.size());
    return json;
  }

  const std::string source_ = scratch_ / "source";
};

TEST_F(IngestTest, EverythingArrivesAsItWas) {
  MakeEverything();
  const nlohmann::json done = PxfsJson({"ingest", source_, "pxfs:/copy"});
  EXPECT_EQ(done["files"], 8);
  EXPECT_EQ(done["links"], 4);
  EXPECT_EQ(done["directories"], 5);
  EXPECT_EQ(done["symlinks"], 2);
  EXPECT_EQ(done["special"], 4);
  EXPECT_EQ(done["failed"], 0);
  uint64_t files = 0;
  for (const nlohmann::json& volume : done["volumes"]) files += volume["files"].get<uint64_t>();
  EXPECT_EQ(files, 8u);
  MountCluster();
  EXPECT_EQ(Digest(source_), Digest(mnt_ + "/copy"));
  // The same into a mounted cluster: the mount sees it at once.
  PxfsOk({"ingest", source_, mnt_ + "/again"});
  EXPECT_EQ(Digest(source_), Digest(mnt_ + "/again"));
  EXPECT_EQ(Objects(), 16u);
}

TEST_F(IngestTest, PlacesAsCpHasThem) {
  stdfs::create_directories(source_ + "/inner");
  WriteText(source_ + "/inner/file", "1");
  WriteText(scratch_ / "single", "2");
  MountCluster();
  stdfs::create_directory(mnt_ + "/there");
  PxfsOk({"ingest", source_, mnt_ + "/there"});              // into a directory
  PxfsOk({"ingest", source_ + "/", mnt_ + "/new"});          // as a new name
  PxfsOk({"ingest", source_ + "/.", mnt_ + "/there"});       // what is in it
  PxfsOk({"ingest", scratch_ / "single", mnt_ + "/named"});  // a file as a new name
  PxfsOk({"ingest", scratch_ / "single", source_ + "/inner", mnt_ + "/several"});
  for (const char* path : {"/there/source/inner/file", "/new/inner/file", "/there/inner/file",
                           "/named", "/several/single", "/several/inner/file"})
    EXPECT_TRUE(stdfs::is_regular_file(mnt_ + path)) << path;
  // Through a symlink within the namespace, and to the root.
  ASSERT_EQ(::symlink("there", (mnt_ + "/to-there").c_str()), 0);
  PxfsOk({"ingest", scratch_ / "single", mnt_ + "/to-there"});
  PxfsOk({"ingest", scratch_ / "single", "pxfs:/"});
  EXPECT_EQ(ReadText(mnt_ + "/there/single"), "2");
  EXPECT_EQ(ReadText(mnt_ + "/single"), "2");
}

TEST_F(IngestTest, ARuleOfTheDestinationDoesNotChangeWhatComes) {
  WriteText(source_ + "/file", "x");
  ASSERT_EQ(::chown((source_ + "/file").c_str(), 7, 8), 0);
  MountCluster();
  stdfs::create_directory(mnt_ + "/dest");
  ASSERT_EQ(::chown((mnt_ + "/dest").c_str(), 100, 100), 0);
  ASSERT_EQ(::chmod((mnt_ + "/dest").c_str(), 02777), 0);
  EXPECT_STATUS(RunOk({"setfacl", "-m", "d:u:1234:rwx", mnt_ + "/dest"}));
  PxfsOk({"ingest", source_ + "/file", mnt_ + "/dest"});
  struct stat st;
  ASSERT_EQ(::stat((mnt_ + "/dest/file").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 7u);
  EXPECT_EQ(st.st_gid, 8u);
  EXPECT_THAT(Xattr(mnt_ + "/dest/file", "system.posix_acl_access"), HasSubstr("errno"));
}

TEST_F(IngestTest, WhatExistsIsKeptAndSaid) {
  WriteText(source_ + "/a", "new a");
  WriteText(source_ + "/b", "b");
  ASSERT_EQ(::symlink("b", (source_ + "/link").c_str()), 0);
  MountCluster();
  stdfs::create_directories(mnt_ + "/dest/source");
  WriteText(mnt_ + "/dest/source/a", "old a");
  stdfs::create_directory(mnt_ + "/dest/source/link");
  const nlohmann::json done = Partly(
      {source_, mnt_ + "/dest"},
      {"/dest/source/a: exists already; --resume", "/dest/source/link: exists already; --resume"});
  EXPECT_EQ(done["files"], 1);
  EXPECT_EQ(ReadText(mnt_ + "/dest/source/a"), "old a");
  EXPECT_EQ(ReadText(mnt_ + "/dest/source/b"), "b");
  // With --resume, what is the same is left out, and what differs is still an error.
  const nlohmann::json again = Partly(
      {"--resume", source_, mnt_ + "/dest"},
      {"/dest/source/a: exists already and is not", "/dest/source/link: exists already and"});
  EXPECT_EQ(again["skipped"], 1);
  EXPECT_EQ(again["files"], 0);
  EXPECT_EQ(ReadText(mnt_ + "/dest/source/a"), "old a");
  // A directory does not replace a file, nor the other way round.
  WriteText(mnt_ + "/dest/plain", "x");
  ExpectRefused({"ingest", source_, mnt_ + "/dest/plain"}, 1, {"exists already", "no directory"});
}

TEST_F(IngestTest, FurtherNamesAreNotLinkedToAFileThatWasThere) {
  WriteText(source_ + "/a", "new");
  ASSERT_EQ(::link((source_ + "/a").c_str(), (source_ + "/b").c_str()), 0);
  MountCluster();
  // Whichever name is met first, the other one must not become a link to the old file.
  for (const char* taken : {"a", "b"}) {
    const std::string dest = mnt_ + "/dest-" + taken;
    stdfs::create_directories(dest);
    WriteText(dest + "/" + taken, "old");
    const std::string other = *taken == 'a' ? "b" : "a";
    const Outcome outcome = Pxfs({"ingest", source_ + "/.", dest});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(ReadText(dest + "/" + taken), "old");
    struct stat st;
    ASSERT_EQ(::stat((dest + "/" + taken).c_str(), &st), 0);
    EXPECT_EQ(st.st_nlink, 1u);
    if (stdfs::exists(dest + "/" + other)) {
      EXPECT_EQ(ReadText(dest + "/" + other), "new");
    }
  }
}

TEST_F(IngestTest, AFileIntoItself) {
  MountCluster();
  stdfs::create_directories(mnt_ + "/data/inner");
  WriteText(mnt_ + "/data/inner/file", "precious");
  // The source is the destination: with --move it would remove the only copy.
  for (const Argv& options : {Argv{}, Argv{"--resume"}, Argv{"--resume", "--move"}}) {
    Argv arguments = {"ingest", mnt_ + "/data", mnt_ + "/"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome whole = Pxfs(arguments);
    EXPECT_EQ(whole.status, 1) << whole.output;
    arguments[1] = mnt_ + "/data/inner/file";
    arguments[2] = mnt_ + "/data/inner";
    const Outcome single = Pxfs(arguments);
    EXPECT_EQ(single.status, 1) << single.output;
    EXPECT_THAT(single.errors, HasSubstr("is the destination itself"));
    EXPECT_EQ(ReadText(mnt_ + "/data/inner/file"), "precious");
  }
  ExpectRefused({"ingest", mnt_ + "/data", mnt_ + "/data/inner"}, 1,
                {mnt_ + "/data", "contains the destination"});
  // Within the namespace, from one place to another, is fine.
  PxfsOk({"ingest", mnt_ + "/data/inner", mnt_ + "/copy"});
  EXPECT_EQ(ReadText(mnt_ + "/copy/file"), "precious");
}

TEST_F(IngestTest, TheClustersOwnPlacesAreLeftOut) {
  MountCluster();
  WriteText(mnt_ + "/file", "precious");
  // The scratch directory holds the cluster, its volumes and its mount.
  WriteText(source_ + "/file", "x");
  const Outcome outcome = Pxfs({"ingest", scratch_.path(), mnt_ + "/all", "--json"});
  EXPECT_EQ(outcome.status, 1);
  for (const char* what : {"is the cluster directory", "is the volume v1 of this cluster",
                           "is the volume v2 of this cluster", "is a mount of this cluster"})
    EXPECT_THAT(outcome.errors, HasSubstr(what));
  EXPECT_EQ(nlohmann::json::parse(outcome.output)["files"], 1);
  // Nor from within a volume, where --adopt and --move would take objects away.
  const std::string object = PxfsJson({"where", mnt_ + "/file"})[0]["replicas"][0]["object"];
  const std::string directory = stdfs::path(object).parent_path();
  for (const std::string& path : {directory, object}) {
    const Outcome own = Pxfs({"ingest", "--adopt", "--move", path, mnt_ + "/stolen"});
    EXPECT_EQ(own.status, 1);
    EXPECT_THAT(own.errors, HasSubstr("lies in the volume"));
    EXPECT_EQ(ReadText(object), "precious");
  }
}

TEST_F(IngestTest, SourcesThatCannotBeRead) {
  WriteText(source_ + "/good", "x");
  // Root reads everything, but not this: a file that fails on reading, and files without a size.
  const std::string own = "/proc/" + std::to_string(::getpid()) + "/mem";
  const Outcome memory = Pxfs({"ingest", own, "pxfs:/mem"});
  EXPECT_EQ(memory.status, 1);
  ExpectOneLine(memory.errors, {own + ": read: "});
  const Outcome sizeless = Pxfs({"ingest", "/proc/version", "pxfs:/version"});
  EXPECT_EQ(sizeless.status, 1);
  ExpectOneLine(sizeless.errors, {"/proc/version: it has content but says that its size is 0"});
  ExpectRefused({"ingest", source_ + "/none", "pxfs:/"}, 1, {source_ + "/none", "No such file"});
  EXPECT_EQ(PxfsJson({"where", "-r", "pxfs:/"}), nlohmann::json::array());
  EXPECT_EQ(Objects(), 0u);
  // One bad source among good ones.
  const nlohmann::json done =
      Partly({"/proc/version", source_ + "/good", "pxfs:/some"}, {"/proc/version: it has content"});
  EXPECT_EQ(done["files"], 1);
}

TEST_F(IngestTest, ASourceThatChangesIsNotTakenHalfWay) {
  // Another process writes to the file all the time, in place, while ingest reads it.
  const std::string file = source_ + "/busy";
  WriteText(file, std::string(64 << 20, 'a'));
  const std::string loop =
      "while :; do printf b | dd of=" + file + " bs=1 seek=1000000 conv=notrunc status=none; done";
  auto writer = Daemon::Start({"sh", "-c", loop}, scratch_ / "writer.log");
  ASSERT_TRUE(writer) << writer.error().message();
  const Outcome outcome = Pxfs({"ingest", file, "pxfs:/busy"});
  EXPECT_STATUS(writer->Stop(std::chrono::seconds(10)));
  EXPECT_EQ(outcome.status, 1);
  ExpectOneLine(outcome.errors, {file, "changed while it was copied"});
  ExpectRefused({"info", "pxfs:/busy"}, 1, {"no such file"});
  EXPECT_EQ(Objects(), 0u);
  PxfsOk({"ingest", file, "pxfs:/busy"});
}

TEST_F(IngestTest, Move) {
  MakeEverything();
  const auto before = Digest(source_);
  PxfsOk({"ingest", "--move", source_, "pxfs:/moved"});
  EXPECT_FALSE(stdfs::exists(source_));
  MountCluster();
  EXPECT_EQ(before, Digest(mnt_ + "/moved"));
}

TEST_F(IngestTest, MoveLeavesWhatCouldNotBeBroughtIn) {
  WriteText(source_ + "/a", "new a");
  WriteText(source_ + "/b", "b");
  MountCluster();
  stdfs::create_directory(mnt_ + "/dest");
  WriteText(mnt_ + "/dest/a", "old a");
  Partly({"--move", source_ + "/.", mnt_ + "/dest"}, {"/dest/a: exists already"});
  EXPECT_EQ(ReadText(source_ + "/a"), "new a");
  EXPECT_FALSE(stdfs::exists(source_ + "/b"));
  EXPECT_EQ(ReadText(mnt_ + "/dest/b"), "b");
}

TEST_F(IngestTest, Adopt) {
  // The source lies on the volumes' file system.
  MakeEverything();
  const auto before = Digest(source_);
  struct stat st;
  ASSERT_EQ(::stat((source_ + "/dir/large").c_str(), &st), 0);
  const nlohmann::json done = PxfsJson({"ingest", "--adopt", "--verify", source_, "pxfs:/adopted"});
  EXPECT_EQ(done["adopted"], 8);
  MountCluster();
  DigestOptions plain;  // the source has more links now, and the origin of its object
  plain.xattrs = false;
  EXPECT_EQ(*DigestTree(source_, plain), *DigestTree(mnt_ + "/adopted", plain));
  const nlohmann::json where = PxfsJson({"where", mnt_ + "/adopted/dir/large"});
  struct stat object;
  ASSERT_EQ(::stat(where[0]["replicas"][0]["object"].get<std::string>().c_str(), &object), 0);
  EXPECT_EQ(object.st_ino, st.st_ino) << "nothing was copied";
  // With --move the source's names go, and the content stays.
  PxfsOk({"ingest", "--adopt", "--move", source_, mnt_ + "/moved"});
  EXPECT_FALSE(stdfs::exists(source_));
  EXPECT_EQ(before, Digest(mnt_ + "/moved"));
}

TEST_F(IngestTest, AdoptCopiesWhatLiesElsewhere) {
  auto image = LoopImage::Create(scratch_ / "image", scratch_ / "elsewhere", 64 << 20);
  ASSERT_TRUE(image) << image.error().message();
  const std::string outside = (*image)->path() + "/data";
  stdfs::create_directory(outside);
  WriteText(outside + "/file", "far away");
  const nlohmann::json done = PxfsJson({"ingest", "--adopt", outside, "pxfs:/data"});
  EXPECT_EQ(done["adopted"], 0);
  EXPECT_EQ(done["files"], 1);
  EXPECT_EQ(ReadText(PxfsJson({"where", "pxfs:/data/file"})[0]["replicas"][0]["object"]),
            "far away");
}

TEST_F(IngestTest, Policy) {
  stdfs::create_directory(source_ + "/inner");
  for (int i = 0; i < 10; ++i) WriteText(source_ + "/inner/" + std::to_string(i), "x");
  PxfsOk({"ingest", "--policy", "pin=v2", "--policy", "hot=off", source_, "pxfs:/data"});
  for (const nlohmann::json& file : PxfsJson({"where", "-r", "pxfs:/data"}))
    EXPECT_EQ(file["replicas"][0]["volume"], "v2");
  EXPECT_EQ(PxfsJson({"policy", "get", "pxfs:/data"})["own"], "placement=pin pin=v2 hot=off");
  ExpectRefused({"ingest", "--policy", "pin=v9", source_, "pxfs:/other"}, 1, {"v9"});
  ExpectRefused({"ingest", "--policy", "copies=many", source_, "pxfs:/other"}, 1, {"copies=many"});
  ExpectRefused({"ingest", "--policy", "copies=1", source_ + "/inner/0", "pxfs:/other"}, 1,
                {"--policy is for directories"});
  ExpectRefused({"info", "pxfs:/other"}, 1, {"no such file"});
}

TEST_F(IngestTest, VerifyRecordsChecksumsAndComparesWhatIsThere) {
  WriteText(source_ + "/file", "hello");
  PxfsOk({"ingest", "--verify", source_, "pxfs:/data"});
  const nlohmann::json info = PxfsJson({"info", "pxfs:/data/file"});
  EXPECT_EQ(info["replicas"][0]["checksum"].get<std::string>().substr(0, 5), "xxh3:");
  EXPECT_EQ(PxfsJson({"ingest", "--verify", "--resume", source_ + "/.", "pxfs:/data"})["skipped"],
            1);
  // The object has other bytes, though its size and the times are the same.
  const std::string object = info["replicas"][0]["object"];
  WriteText(object, "jello");
  EXPECT_EQ(PxfsJson({"ingest", "--resume", source_ + "/.", "pxfs:/data"})["skipped"], 1);
  Partly({"--verify", "--resume", "--move", source_ + "/.", "pxfs:/data"},
         {"/data/file: exists already and is not"});
  EXPECT_EQ(ReadText(source_ + "/file"), "hello");
}

TEST_F(IngestTest, ManyFilesInOneDirectoryAndDeepTrees) {
  const int files = LongRun() ? 50'000 : 600;
  for (int i = 0; i < files; ++i) WriteText(source_ + "/" + std::to_string(i), std::to_string(i));
  std::string deep = source_;
  for (int i = 0; i < 100; ++i) deep += "/directory-number-" + std::to_string(i);
  stdfs::create_directories(deep);
  WriteText(deep + "/file", "deep");
  const nlohmann::json done = PxfsJson({"ingest", "-j", "4", source_, "pxfs:/many"});
  EXPECT_EQ(done["files"], files + 1);
  EXPECT_EQ(done["directories"], 101);
  MountCluster();
  EXPECT_EQ(Digest(source_), Digest(mnt_ + "/many"));
}

TEST_F(IngestTest, ProgressOnATerminalOnly) {
  WriteText(source_ + "/file", std::string(5 << 20, 'x'));
  const Outcome plain = Pxfs({"ingest", source_, "pxfs:/a"});
  EXPECT_EQ(plain.errors, "");
  EXPECT_THAT(plain.output, Not(HasSubstr("\x1b")));
  const auto on_terminal = [&](const std::string& options) {
    const std::string command =
        Program("pxfs") + " ingest " + options + " " + source_ + " pxfs:/b" + options;
    const auto outcome = RunProgram({"script", "-qec", command, "/dev/null"},
                                    {"PXFS_CLUSTER=" + cluster_, "TERM=xterm"});
    EXPECT_TRUE(outcome);
    EXPECT_EQ(outcome->status, 0) << outcome->output;
    return outcome->output;
  };
  EXPECT_THAT(on_terminal(""), HasSubstr("\r\x1b[K"));
  EXPECT_THAT(on_terminal("--no-progress"), Not(HasSubstr("\x1b")));
}

TEST_F(IngestTest, TheSameCommandAgain) {
  stdfs::create_directory(source_ + "/inner");
  WriteText(source_ + "/inner/file", "x");
  EXPECT_EQ(PxfsJson({"ingest", source_, "pxfs:/data"})["files"], 1);
  // DEST is what the first run has made, not a directory to put SRC into.
  WriteText(source_ + "/more", "y");
  nlohmann::json again = PxfsJson({"ingest", "--resume", source_, "pxfs:/data"});
  EXPECT_EQ(again["files"], 1);
  EXPECT_EQ(again["skipped"], 1);
  ExpectRefused({"info", "pxfs:/data/source"}, 1, {"no such file"});
  // A single file, too; and another source, or no --resume, is as cp has it.
  PxfsOk({"ingest", source_ + "/more", "pxfs:/named"});
  EXPECT_EQ(PxfsJson({"ingest", "--resume", source_ + "/more", "pxfs:/named"})["skipped"], 1);
  ExpectRefused({"ingest", source_, "pxfs:/named"}, 1, {"exists already and is no directory"});
  PxfsOk({"ingest", "--resume", source_ + "/inner", "pxfs:/data"});
  PxfsOk({"ingest", source_, "pxfs:/data"});
  EXPECT_EQ(PxfsJson({"info", "pxfs:/data/source/inner/file"})["size"], 1);
  // Something else of that name is not taken for it.
  MountCluster();
  stdfs::rename(mnt_ + "/data", mnt_ + "/away");
  stdfs::create_directory(mnt_ + "/data");
  PxfsOk({"ingest", "--resume", source_, mnt_ + "/data"});
  EXPECT_EQ(ReadText(mnt_ + "/data/source/more"), "y");
}

TEST_F(IngestTest, AFullVolumeIsSaidAndLeavesNothing) {
  auto image = LoopImage::Create(scratch_ / "image", scratch_ / "small", 24 << 20);
  ASSERT_TRUE(image) << image.error().message();
  const std::string small = scratch_ / "small-cluster";
  PxfsOk({"format", small, "--volume", (*image)->path() + "/vol"});
  WriteText(source_ + "/fits", std::string(1 << 20, 'x'));
  WriteText(source_ + "/does-not", std::string(64 << 20, 'x'));
  const Outcome outcome =
      PxfsWith({}, {"ingest", "--json", "--cluster", small, source_, "pxfs:/data"});
  EXPECT_EQ(outcome.status, 1);
  ExpectOneLine(outcome.errors, {source_ + "/does-not", "v1"});
  EXPECT_EQ(nlohmann::json::parse(outcome.output)["files"], 1);
  const Outcome where = PxfsWith({}, {"where", "-r", "--json", "--cluster", small, "pxfs:/"});
  EXPECT_EQ(nlohmann::json::parse(where.output).size(), 1u);
  size_t objects = 0;
  for (const auto& entry : stdfs::recursive_directory_iterator((*image)->path() + "/vol/objects"))
    objects += entry.is_regular_file() ? 1 : 0;
  EXPECT_EQ(objects, 1u);
}

TEST_F(IngestTest, UsageErrors) {
  ExpectRefused({"ingest"}, 2, {"SRC... DEST"});
  ExpectRefused({"ingest", source_}, 2, {"SRC... DEST"});
  ExpectRefused({"ingest", "--fast", source_, "pxfs:/"}, 2, {"--fast", "pxfs ingest --help"});
  ExpectRefused({"ingest", "-j", "0", source_, "pxfs:/"}, 2, {"0"});
  ExpectRefused({"ingest", source_, scratch_ / "outside"}, 1, {"not inside a pxfs mount"});
  ExpectRefused({"ingest", source_, "pxfs:/none/none"}, 1, {"pxfs:/none/none", "no directory"});
  WriteText(source_ + "/file", "x");
  stdfs::create_directory(scratch_ / "more");
  WriteText(scratch_ / "more/file", "y");
  ExpectRefused({"ingest", source_ + "/file", scratch_ / "more/file", "pxfs:/"}, 1,
                {"another source has the same name 'file'"});
  EXPECT_EQ(Objects(), 0u);
}

}  // namespace
}  // namespace pxfs::test
