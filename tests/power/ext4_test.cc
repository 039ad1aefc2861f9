// Loss of power on a real disk with everything on it: an ext4 image with the store and the volumes
// is shut down under a busy mount, without its journal being flushed, and mounted again. What fsync
// had acknowledged is there, data and name; nothing shows what was not written to it; and the store
// and the volumes fit together.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "base/unique_fd.h"
#include "meta/keys.h"
#include "meta/leveldb_engine.h"
#include "tests/crash/store_inspection.h"
#include "tests/support/eventually.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"
#include "tests/support/private_mounts.h"
#include "tests/support/seed.h"

namespace pxfs::test {
namespace {

constexpr int kWriters = 3;
constexpr std::chrono::seconds kPatience(60);
// ext4 keeps whole blocks of what is appended, or none.
constexpr size_t kBlockBytes = 4096;

int Rounds() { return LongRun() ? 200 : 15; }

using Block = std::array<uint64_t, kBlockBytes / sizeof(uint64_t)>;

// No two blocks of any files are alike.
Block Content(uint64_t file, uint64_t number) {
  Block block;
  for (size_t i = 0; i < block.size(); ++i) block[i] = file << 32 | number << 12 | i;
  return block;
}

// What is known of a file: it has had these names (empty: none) since the last sync that covered
// its name.
struct FileState {
  std::vector<std::string> names;
  uint64_t synced_blocks = 0, written_blocks = 0;
};

// Works in a directory of its own until the file system fails, and remembers what must be there.
class Writer {
 public:
  // cut: the power is going. What is answered from then on, nobody would have seen.
  Writer(std::string directory, uint64_t id, uint64_t seed, const std::atomic<bool>& cut)
      : directory_(std::move(directory)), cut_(cut), next_file_(id << 20), random_(seed) {}

  void Run() {
    directory_fd_ = UniqueFd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (One()) ++operations_;
    directory_fd_.reset();
  }

  // Looks at what is left. Returns how many files a sync had acknowledged.
  size_t Check() const {
    size_t acknowledged = 0;
    std::map<std::string, uint64_t> owners;
    for (const auto& [id, file] : files_) {
      std::set<std::string> found;
      for (const std::string& name : file.names) {
        if (name.empty()) continue;
        EXPECT_TRUE(owners.emplace(name, id).second) << "a name used twice by the test";
        if (std::filesystem::exists(directory_ + "/" + name)) found.insert(name);
      }
      EXPECT_LE(found.size(), 1u) << "file " << id << " has several names";
      const bool may_be_gone = std::count(file.names.begin(), file.names.end(), "") > 0;
      if (found.empty()) {
        EXPECT_TRUE(may_be_gone) << directory_ << ": file " << id
                                 << " is lost: " << file.names.back();
      } else {
        CheckContent(id, file, directory_ + "/" + *found.begin());
      }
      if (!may_be_gone) ++acknowledged;
    }
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      EXPECT_TRUE(owners.contains(entry.path().filename())) << entry.path() << ": should be gone";
    return acknowledged;
  }
  size_t operations() const { return operations_; }

 private:
  void CheckContent(uint64_t id, const FileState& file, const std::string& path) const {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(fd) << path << ": " << std::strerror(errno);
    struct stat st;
    ASSERT_EQ(::fstat(fd.get(), &st), 0);
    const auto size = static_cast<uint64_t>(st.st_size);
    EXPECT_GE(size, file.synced_blocks * kBlockBytes) << path;
    EXPECT_LE(size, file.written_blocks * kBlockBytes) << path;
    EXPECT_EQ(size % kBlockBytes, 0u) << path;
    for (uint64_t number = 0; number < size / kBlockBytes; ++number) {
      Block block;
      ASSERT_EQ(
          ::pread(fd.get(), block.data(), kBlockBytes, static_cast<off_t>(number * kBlockBytes)),
          static_cast<ssize_t>(kBlockBytes))
          << path << ": " << std::strerror(errno);
      // ext4 may give a file its size before its data, as zeros.
      if (number >= file.synced_blocks && block == Block{}) continue;
      EXPECT_TRUE(block == Content(id, number))
          << path << ": block " << number << " of " << size / kBlockBytes << ", "
          << file.synced_blocks << " synced and " << file.written_blocks << " written, begins with "
          << std::hex << block[0] << " instead of " << Content(id, number)[0];
    }
  }

  std::string NewName() { return "n" + std::to_string(next_name_++); }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  // Everything done so far by this thread is covered.
  void NamesAreDurable() {
    for (auto& [id, file] : files_) file.names = {file.names.back()};
  }

  bool Append(uint64_t id, FileState& file, int fd, int blocks) {
    for (int i = 0; i < blocks; ++i) {
      const Block block = Content(id, file.written_blocks);
      // Some of it may arrive even if this fails.
      ++file.written_blocks;
      if (::pwrite(fd, block.data(), kBlockBytes,
                   static_cast<off_t>((file.written_blocks - 1) * kBlockBytes)) !=
          static_cast<ssize_t>(kBlockBytes))
        return false;
    }
    return true;
  }

  bool Sync(int fd) {
    if (::fsync(fd) != 0 || cut_) return false;
    NamesAreDurable();
    return true;
  }
  bool SyncFile(FileState& file, int fd) {
    if (!Sync(fd)) return false;
    file.synced_blocks = file.written_blocks;
    return true;
  }

  bool One() {
    // Those that have a name now.
    std::vector<uint64_t> present;
    for (const auto& [id, file] : files_)
      if (!file.names.back().empty()) present.push_back(id);
    const uint64_t choice = random_() % 10;
    if (choice < 4 || present.empty()) {
      const uint64_t id = next_file_++;
      FileState& file = files_[id];
      file.names = {"", NewName()};
      const UniqueFd fd(
          ::open(Path(file.names.back()).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      return fd && Append(id, file, fd.get(), static_cast<int>(random_() % 9)) &&
             (random_() % 3 != 0 || SyncFile(file, fd.get()));
    }
    const uint64_t id = present[random_() % present.size()];
    FileState& file = files_[id];
    const std::string name = file.names.back();
    if (choice == 4) return Sync(directory_fd_.get());
    if (choice < 7) {
      const UniqueFd fd(::open(Path(name).c_str(), O_WRONLY | O_CLOEXEC));
      return fd && Append(id, file, fd.get(), static_cast<int>(1 + random_() % 5)) &&
             (random_() % 2 != 0 || SyncFile(file, fd.get()));
    }
    // Whether it happened is open if it fails.
    file.names.push_back(choice < 9 ? NewName() : "");
    if (choice < 9) return ::rename(Path(name).c_str(), Path(file.names.back()).c_str()) == 0;
    return ::unlink(Path(name).c_str()) == 0;
  }

  const std::string directory_;
  const std::atomic<bool>& cut_;
  UniqueFd directory_fd_;
  uint64_t next_file_, next_name_ = 1;
  std::mt19937_64 random_;
  std::map<uint64_t, FileState> files_;
  std::atomic<size_t> operations_{0};
};

// Overwrites the blocks of one file in place, which has copies now and then: each block has the
// number of the write that it is of, and fdatasync follows each.
class Overwriter {
 public:
  Overwriter(std::string path, uint64_t seed, const std::atomic<bool>& cut)
      : path_(std::move(path)), cut_(cut), random_(seed) {}

  void Prepare() {
    const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    ASSERT_TRUE(fd) << path_ << ": " << std::strerror(errno);
    ASSERT_EQ(::fsetxattr(fd.get(), "user.pxfs.copies", "2", 1, 0), 0) << std::strerror(errno);
    for (size_t number = 0; number < kBlocks; ++number) ASSERT_TRUE(Write(fd.get(), number));
    ASSERT_EQ(::fsync(fd.get()), 0);
    synced_ = written_;
  }
  void Run() {
    while (Some()) {
    }
  }
  // Returns how many writes a sync had acknowledged.
  uint64_t Check() const {
    const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(fd) << path_ << ": " << std::strerror(errno);
    for (size_t number = 0; number < kBlocks; ++number) {
      Block block{};
      EXPECT_EQ(
          ::pread(fd.get(), block.data(), kBlockBytes, static_cast<off_t>(number * kBlockBytes)),
          static_cast<ssize_t>(kBlockBytes));
      EXPECT_GE(block[0], synced_[number]) << path_ << ": an older block " << number;
      EXPECT_LE(block[0], written_[number]) << path_ << ": block " << number;
      EXPECT_EQ(std::count(block.begin(), block.end(), block[0]), std::ssize(block));
    }
    return acknowledged_;
  }

 private:
  static constexpr size_t kBlocks = 16;

  bool Write(int fd, size_t number) {
    Block block;
    block.fill(++writes_);
    // It may arrive even if this fails.
    written_[number] = writes_;
    return ::pwrite(fd, block.data(), kBlockBytes, static_cast<off_t>(number * kBlockBytes)) ==
           static_cast<ssize_t>(kBlockBytes);
  }
  // Opens it, so that its copies become stale, and closes it, so that new ones are made.
  bool Some() {
    const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) return false;
    for (uint64_t left = random_() % 30; left > 0; --left) {
      const size_t number = random_() % kBlocks;
      if (!Write(fd.get(), number) || ::fdatasync(fd.get()) != 0 || cut_) return false;
      synced_[number] = written_[number];
      ++acknowledged_;
    }
    return true;
  }

  const std::string path_;
  const std::atomic<bool>& cut_;
  std::mt19937_64 random_;
  uint64_t writes_ = 0, acknowledged_ = 0;
  std::array<uint64_t, kBlocks> written_{}, synced_{};
};

class PowerExt4Test : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    // A copy of the disk's mount in some other program's namespace would keep it alive, so that
    // mounting it again would show the dead one. Once, before LevelDB starts its thread, which
    // would stay behind in an earlier namespace.
    ASSERT_STATUS(EnterPrivateMounts());
  }
  void SetUp() override {
    MountedOptions options;
    options.options = GetParam();
    options.cluster.ext4_image = true;
    options.cluster.image_bytes = 1ull << 30;
    auto mounted = MountedCluster::Start(options);
    ASSERT_TRUE(mounted) << mounted.error().message();
    mounted_ = std::move(*mounted);
    seed_ = SeedOfRun();
  }

  // The kernel that runs now is the one that wrote; the store shall not know it.
  void PretendAnotherBoot() {
    const auto engine =
        meta::OpenLevelDb(mounted_->cluster().directory() + "/meta/leveldb", /*create=*/false);
    ASSERT_TRUE(engine) << engine.error().message();
    ASSERT_STATUS((*engine)->Commit({}, {{meta::keys::Counter("boot"), "another"}}, [] {}));
  }

  // Of daemons that saw the disk fail under them.
  void RemoveLogs() {
    for (const auto& entry :
         std::filesystem::directory_iterator(mounted_->cluster().directory() + "/log"))
      std::filesystem::remove(entry.path());
  }

  void MakeRootDurable() {
    const UniqueFd root(::open(mounted_->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(::fsync(root.get()), 0);
  }

  void WorkUntilTheCut(std::vector<std::unique_ptr<Writer>>& writers, uint64_t operations) {
    std::vector<std::thread> threads;
    for (auto& writer : writers) threads.emplace_back([&] { writer->Run(); });
    // Whoever fails early has stopped, so the total may stay below the number.
    const auto done = [&] {
      size_t sum = 0;
      for (const auto& writer : writers) sum += writer->operations();
      return sum;
    };
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (done() < operations && std::chrono::steady_clock::now() < limit)
      std::this_thread::yield();
    EXPECT_GE(done(), operations) << "an operation failed before the power went";
    cut_ = true;
    EXPECT_STATUS(mounted_->cluster().image()->CutPower());
    for (std::thread& thread : threads) thread.join();
    operations_ += done();
    cut_ = false;
  }

  // Also a daemon that succeeded one which the failing disk had ended: it would open the store when
  // the disk is back.
  void KillAll() {
    std::vector<Process> daemons;
    for (const pid_t pid : Descendants(mounted_->mount().record().supervisor_pid))
      if (auto found = Process::Find(pid)) daemons.push_back(std::move(*found));
    ASSERT_STATUS(mounted_->Kill());
    for (const Process& daemon : daemons) {
      daemon.Signal(SIGKILL);
      ASSERT_TRUE(daemon.WaitForEnd(std::chrono::seconds(30)));
    }
  }

  void Revive() {
    ASSERT_STATUS(mounted_->cluster().image()->Remount());
    RemoveLogs();
    PretendAnotherBoot();
  }

  // Where the copies are that count as good.
  std::vector<std::string> CurrentObjects(const std::string& path) const {
    const auto told = RunProgram({Program("pxfs"), "where", path, "--json"});
    EXPECT_TRUE(told && told->status == 0) << (told ? told->output : "");
    std::vector<std::string> objects;
    if (!told) return objects;
    const auto files = nlohmann::json::parse(told->output, nullptr, /*allow_exceptions=*/false);
    for (const auto& replica : files.at(0).at("replicas"))
      if (replica["state"] == "current") objects.push_back(replica["object"]);
    return objects;
  }

  uint64_t seed_ = 0;
  std::atomic<bool> cut_{false};
  size_t operations_ = 0;
  std::unique_ptr<MountedCluster> mounted_;
};

TEST_P(PowerExt4Test, WhatFsyncAcknowledgedIsThere) {
  size_t acknowledged = 0, overwritten = 0;
  for (int round = 0; round < Rounds() && !HasFailure(); ++round) {
    std::mt19937_64 random(seed_ + static_cast<uint64_t>(round));
    std::vector<std::unique_ptr<Writer>> writers;
    for (int i = 0; i < kWriters; ++i) {
      const std::string directory =
          mounted_->path() + "/r" + std::to_string(round) + "w" + std::to_string(i);
      ASSERT_EQ(::mkdir(directory.c_str(), 0755), 0);
      writers.push_back(std::make_unique<Writer>(
          directory, static_cast<uint64_t>(round * kWriters + i + 1), random(), cut_));
    }
    Overwriter overwriter(mounted_->path() + "/r" + std::to_string(round), random(), cut_);
    ASSERT_NO_FATAL_FAILURE(overwriter.Prepare());
    ASSERT_NO_FATAL_FAILURE(MakeRootDurable());
    std::thread overwriting([&] { overwriter.Run(); });
    WorkUntilTheCut(writers, 20 + random() % 700);
    overwriting.join();
    ASSERT_NO_FATAL_FAILURE(KillAll());
    ASSERT_NO_FATAL_FAILURE(Revive());
    const auto problems = InspectCluster(mounted_->cluster().directory());
    ASSERT_TRUE(problems) << problems.error().message();
    EXPECT_EQ(*problems, std::vector<std::string>());
    ASSERT_STATUS(mounted_->Restart());
    for (const auto& writer : writers) acknowledged += writer->Check();
    overwritten += overwriter.Check();
  }
  EXPECT_GT(acknowledged, 0u);
  EXPECT_GT(overwritten, 0u);
  std::cout << Rounds() << " power cuts after " << operations_ << " operations; " << acknowledged
            << " files whose names and data were acknowledged, " << overwritten
            << " blocks overwritten in place" << std::endl;
  EXPECT_STATUS(mounted_->Stop());
}

// The grant to write makes the other copies stale: that is durable before what is written counts as
// synced, also where the file has been written and synced before.
TEST_P(PowerExt4Test, AnOverwriteThatWasSyncedIsInEveryCopyThatCounts) {
  const std::string path = mounted_->path() + "/file";
  std::string content(2 * kBlockBytes, '0');
  const auto overwrite = [&](int fd, char with) {
    content.assign(content.size(), with);
    ASSERT_EQ(::pwrite(fd, content.data(), content.size(), 0), std::ssize(content));
    ASSERT_EQ(::fdatasync(fd), 0);
  };
  {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    ASSERT_TRUE(fd) << std::strerror(errno);
    ASSERT_EQ(::fsetxattr(fd.get(), "user.pxfs.copies", "2", 1, 0), 0) << std::strerror(errno);
    ASSERT_NO_FATAL_FAILURE(overwrite(fd.get(), '1'));
  }
  // Somebody has it open all the time.
  UniqueFd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  ASSERT_TRUE(Eventually([&] { return CurrentObjects(path).size() == 2; }, kPatience));
  {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(fd) << std::strerror(errno);
    ASSERT_NO_FATAL_FAILURE(overwrite(fd.get(), '2'));
  }
  ASSERT_TRUE(Eventually([&] { return CurrentObjects(path).size() == 2; }, kPatience));
  ASSERT_NO_FATAL_FAILURE(MakeRootDurable());
  {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(fd) << std::strerror(errno);
    ASSERT_NO_FATAL_FAILURE(overwrite(fd.get(), '3'));
    EXPECT_STATUS(mounted_->cluster().image()->CutPower());
  }
  reader.reset();
  ASSERT_NO_FATAL_FAILURE(KillAll());
  ASSERT_NO_FATAL_FAILURE(Revive());
  ASSERT_STATUS(mounted_->Restart());
  EXPECT_EQ(ReadFile(path), content);
  const auto objects = CurrentObjects(path);
  EXPECT_FALSE(objects.empty());
  for (const std::string& object : objects) EXPECT_EQ(ReadFile(object), content) << object;
  EXPECT_STATUS(mounted_->Stop());
}

INSTANTIATE_TEST_SUITE_P(Variants, PowerExt4Test,
                         testing::Values("passthrough=on", "passthrough=off"),
                         [](const auto& info) {
                           return std::string(info.index == 0 ? "Passthrough" : "ThroughTheDaemon");
                         });

}  // namespace
}  // namespace pxfs::test
