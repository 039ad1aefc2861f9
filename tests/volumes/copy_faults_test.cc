// Random faults around copies: the process that copies is killed at any step of a copy, volumes
// vanish and return with what they had, have no room, are drained, objects go bad, and files are
// written, renamed and removed meanwhile. After each round everything is put right again, and then
// every file is what the oracle says, in as many good copies as its policy asks for, and nothing is
// left behind.
//
// Each life of the service is a process of its own. What was done is noted in memory that all
// share. 5 rounds, or 1000 with PXFS_LONG=1; PXFS_TEST_SEED repeats a run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/bytes.h"
#include "base/logging.h"
#include "meta/check.h"
#include "meta/leveldb_engine.h"
#include "meta/local_service.h"
#include "tests/support/eventually.h"
#include "tests/support/long_run.h"
#include "tests/support/temporary_directory.h"
#include "volumes/copy.h"
#include "volumes/copy_settings.h"
#include "volumes/maintenance.h"
#include "volumes/object_walk.h"
#include "volumes/replicator.h"
#include "volumes/scrub.h"

namespace pxfs::volumes {
namespace {

using meta::Location;
using meta::Replica;
using meta::ReplicaState;
using std::chrono::milliseconds;

constexpr int kFiles = 20, kVolumes = 4, kMostOperations = 60, kMostSteps = 60;
constexpr uint32_t kCopies = 2;
constexpr const char* kCluster = "cluster-a";

// What is known of a file.
struct Entry {
  uint32_t version = 0;  // 0: there is none
  uint32_t next = 0;     // being written
  bool busy = false;     // some operation has begun and not ended
  bool other_name = false;
  bool damaged = false;  // one of its objects
};

struct Oracle {
  Entry files[kFiles];
  bool away[kVolumes] = {};
  std::atomic<int> steps_left{0};  // until the service kills itself
};

// What version `version` of file `index` holds.
std::string ContentOf(int index, uint32_t version) {
  std::mt19937 random(static_cast<unsigned>(index) * 10'007u + version);
  std::string content = std::to_string(index) + " " + std::to_string(version) + "\n";
  content.resize(100 + random() % 200'000, static_cast<char>('a' + random() % 26));
  return content;
}

// One life of the service, in a process of its own: ends with a status of 1 after saying why.
class Life {
 public:
  Life(const std::string& directory, Oracle& oracle, bool create = false)
      : directory_(directory), oracle_(oracle) {
    meta::LocalOptions options;
    options.directory = directory + "/meta";
    options.create = create;
    service_ = Value(meta::OpenLocalService(options), "open");
    volumes_ = std::make_unique<VolumeSet>(kCluster, *service_);
    ctx_.session = Value(service_->OpenSession({"writer", {}, nullptr}), "session");
  }
  ~Life() {
    replicator_.reset();
    Ok(service_->CloseSession(ctx_.session), "close");
  }

  void Format() {
    for (int i = 1; i <= kVolumes; ++i) {
      meta::VolumeInfo info;
      info.name = "v" + std::to_string(i);
      info.uuid = NewUuid();
      info.path = directory_ + "/" + info.name;
      Ok(Volume::Format(info.path, {kCluster, info.uuid, info.name}), "format");
      Value(service_->AddVolume(info), "add");
    }
    Refresh();
    meta::Policy policy;
    policy.copies = kCopies;
    Ok(service_->SetPolicy(ctx_, kRootInode, policy), "policy");
    CopySettings settings;
    settings.grace = std::chrono::seconds(0);
    Ok(WriteCopySettings(*service_, settings), "settings");
  }

  // Does what it likes until it is killed at some step of a copy, or until it has had enough.
  void Run(unsigned seed) {
    std::mt19937 random(seed);
    const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
    const bool dies = chance(70);
    oracle_.steps_left = static_cast<int>(1 + random() % kMostSteps);
    Refresh();
    Ok(RecoverOpenFiles(*service_, *volumes_), "recover");
    replicator_ = Value(Replicator::Start(*service_, *volumes_,
                                          [&](CopyStep) {
                                            if (dies && --oracle_.steps_left == 0)
                                              ::kill(::getpid(), SIGKILL);
                                          }),
                        "replicator");
    const auto operations = 1 + random() % kMostOperations;
    for (unsigned i = 0; i < operations; ++i) {
      const int file = static_cast<int>(random() % kFiles);
      const int volume = static_cast<int>(random() % kVolumes);
      switch (random() % 16) {
        case 0:
          Unlink(file);
          break;
        case 1:
          Rename(file);
          break;
        case 2:
          Damage(file);
          break;
        case 3:
          Drain(volume);
          break;
        case 4:
          Away(volume);
          break;
        case 5:
          Fill(volume);
          break;
        case 6:
          Value(ReclaimOnce(*service_, *volumes_, 100, milliseconds(0)), "reclaim");
          break;
        default:
          Write(file);
      }
      if (chance(20)) AwaitStep();
    }
    if (dies && chance(50))
      test::Eventually([&] { return QueueIsEmpty(); }, std::chrono::seconds(1));
  }

  // Everything is put right, and then compared with the oracle.
  void Verify() {
    for (int i = 0; i < kVolumes; ++i)
      if (oracle_.away[i]) BringBack(i);
    Refresh();
    for (meta::VolumeInfo volume : Value(service_->ListVolumes(), "list")) {
      volume.state = meta::VolumeState::kOnline;
      volume.reserve_bytes = 0;
      Ok(service_->UpdateVolume(volume), "update");
    }
    Ok(RecoverOpenFiles(*service_, *volumes_), "recover");
    // Damage that nobody has come across.
    for (int i = 0; i < kFiles; ++i) {
      for (const bool other : {false, true}) {
        const auto found = service_->Lookup(ctx_, kRootInode, NameOf(i, other));
        if (found) Value(ScrubFile(*service_, *volumes_, found->inode), "scrub");
      }
      oracle_.files[i].damaged = false;
    }
    replicator_ = Value(Replicator::Start(*service_, *volumes_), "replicator");
    AwaitQuiet();
    for (int i = 0; i < kFiles; ++i) Check(i);
    AwaitQuiet();
    CheckObjects();
  }

 private:
  [[noreturn]] static void Die(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    ::_exit(1);
  }
  static void Ok(const Status& status, const std::string& what) {
    if (!status) Die(what + ": " + status.error().message());
  }
  template <typename T>
  static T Value(Result<T> result, const std::string& what) {
    if (!result) Die(what + ": " + result.error().message());
    return std::move(*result);
  }
  static void Expect(bool holds, const std::string& what) {
    if (!holds) Die(what);
  }

  static std::string NameOf(int file, bool other) {
    return (other ? "g" : "f") + std::to_string(file);
  }
  std::string Name(int file) const { return NameOf(file, oracle_.files[file].other_name); }
  std::string Root(int volume) const { return directory_ + "/v" + std::to_string(volume + 1); }
  void Refresh() { Ok(volumes_->Refresh(), "refresh"); }
  bool AnyDamaged() const {
    return std::any_of(std::begin(oracle_.files), std::end(oracle_.files),
                       [](const Entry& entry) { return entry.damaged; });
  }
  bool AnyTrouble() const {
    for (const auto& volume : Value(service_->ListVolumes(), "list"))
      if (volume.state != meta::VolumeState::kOnline || volume.reserve_bytes != 0) return true;
    return false;
  }
  void AwaitStep() {
    const int seen = oracle_.steps_left;
    test::Eventually([&] { return oracle_.steps_left != seen || QueueIsEmpty(); },
                     std::chrono::seconds(1));
  }
  bool QueueIsEmpty() {
    return Value(service_->ScanRecords(meta::kCopyQueuePrefix, "", 1), "queue").empty();
  }
  void AwaitQuiet() {
    const bool quiet = test::Eventually(
        [&] {
          Value(ReclaimOnce(*service_, *volumes_, 1000, milliseconds(0)), "reclaim");
          return QueueIsEmpty() && Value(service_->GetStatistics(), "count").reclaim_queue == 0;
        },
        std::chrono::seconds(60));
    if (quiet) return;
    std::string queue;
    for (const auto& record :
         Value(service_->ScanRecords(meta::kCopyQueuePrefix, "", 100), "queue"))
      queue += " " + record.key;
    Die("it does not become quiet:" + queue);
  }

  // Not possible now: the volume is away, full, or the like.
  static bool Refused(const Error& error) {
    return error == Code::kUnavailable || error == Code::kReadOnly || error == Code::kNoSpace;
  }

  void Write(int file) {
    Entry& entry = oracle_.files[file];
    entry.next = entry.version + 1;
    entry.busy = true;
    const auto begin = [&]() -> Result<Location> {
      if (entry.version == 0)
        return service_->Create(ctx_, kRootInode, Name(file), {S_IFREG | 0644});
      PXFS_ASSIGN(const meta::Attr attr, service_->Lookup(ctx_, kRootInode, Name(file)));
      return service_->OpenForWrite(ctx_, attr.inode, {});
    };
    auto location = begin();
    if (!location) {
      if (!Refused(location.error())) Die("write: " + location.error().message());
      entry.busy = false;
      return;
    }
    for (const Replica& replica : std::vector<Replica>(location->replicas))
      if (replica.state == ReplicaState::kCopying)
        *location = Value(service_->EndMove(ctx_, location->attr.inode, replica.object_generation,
                                            /*moved=*/false),
                          "end of move");
    const Replica& primary = location->replicas.front();
    const auto volume = Value(volumes_->Require(primary.volume), "volume");
    const ObjectName name{location->attr.inode, primary.object_generation};
    const ObjectOwner owner{0, 0, 0644};
    const UniqueFd fd = Value(volume->OpenObject(name, O_RDWR | O_CREAT, &owner), "object");
    const std::string content = ContentOf(file, entry.next);
    struct stat st;
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), content.data(), content.size(), 0) !=
            static_cast<ssize_t>(content.size()) ||
        ::fstat(fd.get(), &st) != 0)
      Die("cannot write an object");
    Ok(service_->CloseWrite(ctx_, location->attr.inode, volumes::ContentOf(st)), "close");
    entry.version = entry.next;
    entry.damaged = false;
    entry.busy = false;
  }

  void Unlink(int file) {
    Entry& entry = oracle_.files[file];
    if (entry.version == 0) return;
    entry.busy = true;
    const auto removed = Value(service_->Unlink(ctx_, kRootInode, Name(file)), "unlink");
    Ok(service_->Forget(ctx_.session, std::span(&removed.inode, 1)), "forget");
    entry = {};
  }

  void Rename(int file) {
    Entry& entry = oracle_.files[file];
    if (entry.version == 0) return;
    entry.next = entry.version;
    entry.busy = true;
    Value(service_->Rename(ctx_, kRootInode, NameOf(file, entry.other_name), kRootInode,
                           NameOf(file, !entry.other_name), 0),
          "rename");
    entry.other_name = !entry.other_name;
    entry.busy = false;
  }

  // Only where another good copy is sure to stay: two faults at once may lose a file.
  void Damage(int file) {
    Entry& entry = oracle_.files[file];
    if (entry.version == 0 || entry.damaged || AnyTrouble()) return;
    const auto attr = Value(service_->Lookup(ctx_, kRootInode, Name(file)), "lookup");
    const Location location = Value(service_->Locate(ctx_, attr.inode), "locate");
    std::vector<Replica> good;
    for (const Replica& replica : location.replicas)
      if (replica.state == ReplicaState::kCurrent && replica.checksum) good.push_back(replica);
    if (good.size() < 2) return;
    const Replica& bad = good[entry.version % good.size()];
    const UniqueFd fd(::open(volumes_->ObjectPath(bad, attr.inode).c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) return;  // it has just been dropped
    entry.damaged = true;
    if (::pwrite(fd.get(), "#", 1, 50) != 1) Die("cannot damage an object");
  }

  void Drain(int volume) { Change(volume, meta::VolumeState::kDraining, 0); }
  void Fill(int volume) { Change(volume, meta::VolumeState::kOnline, uint64_t{1} << 62); }
  // Trouble begins with one volume, or ends.
  void Change(int index, meta::VolumeState state, uint64_t reserve) {
    if (oracle_.away[index] || AnyDamaged()) return;
    for (meta::VolumeInfo volume : Value(service_->ListVolumes(), "list")) {
      if (volume.name != "v" + std::to_string(index + 1)) continue;
      const bool troubled = volume.state != meta::VolumeState::kOnline || volume.reserve_bytes != 0;
      volume.state = troubled ? meta::VolumeState::kOnline : state;
      volume.reserve_bytes = troubled ? 0 : reserve;
      Ok(service_->UpdateVolume(volume), "update");
    }
  }

  void Away(int volume) {
    if (oracle_.away[volume]) {
      BringBack(volume);
    } else {
      oracle_.away[volume] = true;
      std::filesystem::rename(Root(volume), Root(volume) + ".away");
    }
    Refresh();
  }
  void BringBack(int volume) {
    if (std::filesystem::exists(Root(volume) + ".away"))
      std::filesystem::rename(Root(volume) + ".away", Root(volume));
    oracle_.away[volume] = false;
  }

  static std::string ReadAll(int fd) {
    struct stat st;
    if (::fstat(fd, &st) != 0) Die("stat of an object");
    std::string content(static_cast<size_t>(st.st_size), '\0');
    if (::pread(fd, content.data(), content.size(), 0) != st.st_size) Die("read of an object");
    return content;
  }

  void Check(int file) {
    Entry& entry = oracle_.files[file];
    const std::string who = "file " + std::to_string(file) + " (version " +
                            std::to_string(entry.version) + (entry.busy ? ", busy" : "") + "): ";
    auto found = service_->Lookup(ctx_, kRootInode, Name(file));
    if (!found && entry.busy) {
      const auto other = service_->Lookup(ctx_, kRootInode, NameOf(file, !entry.other_name));
      if (other) entry.other_name = !entry.other_name;
      if (other) found = other;
    }
    if (!found) {
      Expect(found.error() == Code::kNotFound, who + found.error().message());
      Expect(entry.version == 0 || entry.busy, who + "it is gone");
      entry = {};
      return;
    }
    Expect(entry.version != 0 || entry.busy, who + "it is there");
    const Location location = Value(service_->Locate(ctx_, found->inode), who + "locate");
    std::optional<std::string> content;
    for (const Replica& replica : location.replicas) {
      const std::string where = who + volumes_->NameOf(replica.volume) + ": ";
      Expect(replica.state == ReplicaState::kCurrent, where + ToString(replica.state));
      const auto volume = Value(volumes_->Require(replica.volume), where);
      const UniqueFd fd =
          Value(volume->OpenObject({found->inode, replica.object_generation}, O_RDONLY), where);
      const std::string held = ReadAll(fd.get());
      Expect(!content || *content == held, where + "differs from another copy");
      Expect(held.size() == location.attr.size_bytes, where + "has another size");
      const Hash128 checksum = Value(ChecksumFile(fd.get()), where);
      Expect(replica.checksum && *replica.checksum == checksum, where + "has another checksum");
      content = held;
    }
    Expect(location.replicas.size() == kCopies,
           who + std::to_string(location.replicas.size()) + " copies");
    if (!entry.busy) Expect(*content == ContentOf(file, entry.version), who + "another content");
    if (!entry.busy) return;
    // Half of something may be there: away with it.
    entry.version = 1;
    Unlink(file);
  }

  void CheckObjects() {
    for (const auto& volume : volumes_->All()) {
      Ok(ForEachObject(*volume,
                       [&](std::span<const ObjectName> names) -> Status {
                         for (const ObjectName& name : names) {
                           const auto location = service_->Locate(ctx_, name.inode);
                           Expect(location && std::any_of(location->replicas.begin(),
                                                          location->replicas.end(),
                                                          [&](const Replica& replica) {
                                                            return replica.volume == volume->id() &&
                                                                   replica.object_generation ==
                                                                       name.generation;
                                                          }),
                                  "nobody's object: " + volume->root() + "/" + name.RelativePath());
                         }
                         return {};
                       }),
         "walk");
    }
  }

  const std::string directory_;
  Oracle& oracle_;
  std::unique_ptr<meta::MetadataService> service_;
  std::unique_ptr<VolumeSet> volumes_;
  std::unique_ptr<Replicator> replicator_;
  meta::CallContext ctx_;
};

// The wait status of a process that runs `body`.
int InProcess(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// No record of the store contradicts another.
void CheckRecords(const std::string& directory) {
  const auto engine = meta::OpenLevelDb(directory + "/meta/leveldb", false);
  if (!engine) ::_exit(1);
  const auto problems = meta::CheckStore(**engine);
  if (!problems) ::_exit(1);
  for (const std::string& problem : *problems) std::fprintf(stderr, "%s\n", problem.c_str());
  if (!problems->empty()) ::_exit(1);
}

TEST(CopyFaultsTest, WhateverHappensEveryFileIsRightInTheEnd) {
  const int rounds = test::LongRun() ? 1000 : 5;
  const char* given = std::getenv("PXFS_TEST_SEED");
  const unsigned seed =
      given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  SCOPED_TRACE("PXFS_TEST_SEED=" + std::to_string(seed));
  const test::TemporaryDirectory scratch;
  const std::string directory = scratch.path();
  void* const shared =
      ::mmap(nullptr, sizeof(Oracle), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  Oracle& oracle = *new (shared) Oracle();
  ASSERT_EQ(InProcess([&] { Life(directory, oracle, /*create=*/true).Format(); }), 0);
  int killed = 0;
  for (int round = 0; round < rounds; ++round) {
    const int status =
        InProcess([&] { Life(directory, oracle).Run(seed + static_cast<unsigned>(round)); });
    killed += WIFSIGNALED(status) ? 1 : 0;
    ASSERT_TRUE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        << "round " << round << ": " << status;
    ASSERT_EQ(InProcess([&] { Life(directory, oracle).Verify(); }), 0) << "round " << round;
    ASSERT_EQ(InProcess([&] { CheckRecords(directory); }), 0) << "round " << round;
  }
  std::printf("%d rounds, killed in %d of them\n", rounds, killed);
  if (test::LongRun()) {
    EXPECT_GT(killed, rounds / 10);
  }
  ::munmap(shared, sizeof(Oracle));
}

}  // namespace
}  // namespace pxfs::volumes
