#include "tests/volumes/copy_faults_life.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "meta/copy_queue.h"
#include "tests/support/eventually.h"
#include "volumes/copy.h"
#include "volumes/copy_settings.h"
#include "volumes/maintenance.h"
#include "volumes/object_walk.h"
#include "volumes/scrub.h"

namespace pxfs::volumes {
namespace {

namespace stdfs = std::filesystem;
using meta::Location;
using meta::Replica;
using meta::ReplicaState;
using std::chrono::milliseconds;

constexpr int kMostOperations = 60, kMostSteps = 60, kNever = 1 << 30;
constexpr uint32_t kCopies = 2;
constexpr const char* kCluster = "cluster-a";

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  ::_exit(1);
}
void Ok(const Status& status, const std::string& what) {
  if (!status) Die(what + ": " + status.error().message());
}
template <typename T>
T Value(Result<T> result, const std::string& what) {
  if (!result) Die(what + ": " + result.error().message());
  return std::move(*result);
}
void Expect(bool holds, const std::string& what) {
  if (!holds) Die(what);
}

// What version `version` of file `index` holds.
std::string ContentOf(int index, uint32_t version) {
  std::mt19937 random(static_cast<unsigned>(index) * 10'007u + version);
  std::string content = std::to_string(index) + " " + std::to_string(version) + "\n";
  content.resize(100 + random() % 200'000, static_cast<char>('a' + random() % 26));
  return content;
}

std::string NameOf(int file, bool other) { return (other ? "g" : "f") + std::to_string(file); }

// Not possible now: the volume is away, full, or the like.
bool Refused(const Error& error) {
  return error == Code::kUnavailable || error == Code::kReadOnly || error == Code::kNoSpace;
}

std::string ReadAll(int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) Die("stat of an object");
  std::string content(static_cast<size_t>(st.st_size), '\0');
  if (::pread(fd, content.data(), content.size(), 0) != st.st_size) Die("read of an object");
  return content;
}

// 0, or the errno.
int Store(int fd, const std::string& content, size_t size) {
  if (::ftruncate(fd, 0) != 0) return errno;
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::pwrite(fd, content.data() + done, size - done, static_cast<off_t>(done));
    if (n < 0) return errno;
    done += static_cast<size_t>(n);
  }
  return 0;
}

}  // namespace

std::string FaultDiskOf(const std::string& directory, int index) {
  return directory + "/d" + std::to_string(index + 1);
}
std::string FaultVolumeOf(const std::string& directory, int index) {
  return FaultDiskOf(directory, index) + "/v" + std::to_string(index + 1);
}
std::string FaultSnapshotOf(const std::string& directory, int index) {
  return FaultVolumeOf(directory, index) + ".old";
}

FaultLife::FaultLife(const std::string& directory, FaultOracle& oracle, bool create)
    : directory_(directory), oracle_(oracle) {
  meta::LocalOptions options;
  options.directory = directory + "/meta";
  options.create = create;
  service_ = Value(meta::OpenLocalService(options), "open");
  volumes_ = std::make_unique<VolumeSet>(kCluster, *service_);
  ctx_.session = Value(service_->OpenSession({"writer", {}, nullptr}), "session");
}

FaultLife::~FaultLife() {
  replicator_.reset();
  Ok(service_->CloseSession(ctx_.session), "close");
}

void FaultLife::Format() {
  for (int i = 0; i < kFaultVolumes; ++i) {
    meta::VolumeInfo info;
    info.name = "v" + std::to_string(i + 1);
    info.uuid = NewUuid();
    info.path = Root(i);
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

void FaultLife::Run(unsigned seed) {
  random_.seed(seed);
  const bool dies = Chance(70);
  oracle_.steps_left = kNever;
  Refresh();
  Ok(RecoverOpenFiles(*service_, *volumes_), "recover");
  replicator_ = Value(Replicator::Start(*service_, *volumes_,
                                        [this, dies](CopyStep) {
                                          if (dies && --oracle_.steps_left == 0)
                                            ::kill(::getpid(), SIGKILL);
                                        }),
                      "replicator");
  if (Chance(25)) GoAndReturnOld(static_cast<int>(random_() % kFaultVolumes));
  oracle_.steps_left = static_cast<int>(1 + random_() % kMostSteps);
  const auto operations = 1 + random_() % kMostOperations;
  for (unsigned i = 0; i < operations; ++i) {
    const int file = static_cast<int>(random_() % kFaultFiles);
    const int volume = static_cast<int>(random_() % kFaultVolumes);
    switch (random_() % 18) {
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
      case 5:
        Away(volume);
        break;
      case 6:
        Reserve(volume);
        break;
      case 7:
        FillUp(volume);
        break;
      case 8:
        Value(ReclaimOnce(*service_, *volumes_, 100, milliseconds(0)), "reclaim");
        Refresh();
        break;
      default:
        Write(file);
    }
    if (Chance(20)) AwaitStep();
  }
  if (Chance(50)) {
    while (!open_.empty()) EndWrite(open_.begin()->first);
    test::Eventually([&] { return QueueIsEmpty(); }, std::chrono::milliseconds(500));
  }
  // What is still open is for the next life to recover, as if this one had been killed.
  if (!open_.empty()) ::kill(::getpid(), SIGKILL);
}

void FaultLife::Verify() {
  for (int i = 0; i < kFaultVolumes; ++i)
    if (oracle_.away[i] || oracle_.rolled_back[i]) BringBack(i);
  MakeRoom();
  Refresh();
  for (meta::VolumeInfo volume : Value(service_->ListVolumes(), "list")) {
    volume.state = meta::VolumeState::kOnline;
    volume.reserve_bytes = 0;
    Ok(service_->UpdateVolume(volume), "update");
  }
  Ok(RecoverOpenFiles(*service_, *volumes_), "recover");
  // Damage that nobody has come across. An older content that a volume came back with is found by
  // the replicator itself.
  for (int i = 0; i < kFaultFiles; ++i) {
    if (!oracle_.files[i].damaged) continue;
    for (const bool other : {false, true}) {
      const auto found = service_->Lookup(ctx_, kRootInode, NameOf(i, other));
      if (found) Value(ScrubFile(*service_, *volumes_, found->inode), "scrub");
    }
    oracle_.files[i].damaged = false;
  }
  replicator_ = Value(Replicator::Start(*service_, *volumes_), "replicator");
  AwaitQuiet();
  for (int i = 0; i < kFaultFiles; ++i) Check(i);
  AwaitQuiet();
  CheckObjects();
  std::fill(std::begin(oracle_.rolled_back), std::end(oracle_.rolled_back), false);
}

std::string FaultLife::Name(int file) const { return NameOf(file, oracle_.files[file].other_name); }

void FaultLife::Refresh() { Ok(volumes_->Refresh(), "refresh"); }

bool FaultLife::AnyDamaged() const {
  return std::any_of(std::begin(oracle_.files), std::end(oracle_.files),
                     [](const FaultEntry& entry) { return entry.damaged; }) ||
         std::any_of(std::begin(oracle_.rolled_back), std::end(oracle_.rolled_back),
                     [](bool rolled_back) { return rolled_back; });
}

bool FaultLife::AnyTrouble() const {
  for (const auto& volume : Value(service_->ListVolumes(), "list"))
    if (volume.state != meta::VolumeState::kOnline || volume.reserve_bytes != 0) return true;
  return false;
}

void FaultLife::AwaitStep() {
  const int seen = oracle_.steps_left;
  test::Eventually([&] { return oracle_.steps_left != seen || QueueIsEmpty(); }, milliseconds(250));
}

bool FaultLife::QueueIsEmpty() {
  return Value(service_->ScanRecords(meta::kCopyQueuePrefix, "", 1), "queue").empty();
}

void FaultLife::AwaitQuiet() {
  const bool quiet = test::Eventually(
      [&] {
        Value(ReclaimOnce(*service_, *volumes_, 1000, milliseconds(0)), "reclaim");
        return QueueIsEmpty() && Value(service_->GetStatistics(), "count").reclaim_queue == 0;
      },
      std::chrono::seconds(60));
  if (quiet) return;
  std::string queue;
  for (const auto& record : Value(service_->ScanRecords(meta::kCopyQueuePrefix, "", 100), "queue"))
    queue += " " + record.key;
  Die("it does not become quiet:" + queue);
}

void FaultLife::Write(int file) {
  if (!open_.contains(file)) BeginWrite(file);
  // The others take their time.
  if (open_.contains(file) && Chance(80)) EndWrite(file);
}

void FaultLife::BeginWrite(int file) {
  FaultEntry& entry = oracle_.files[file];
  entry.next = entry.version + 1;
  entry.busy = true;
  const auto begin = [&]() -> Result<Location> {
    if (entry.version == 0) return service_->Create(ctx_, kRootInode, Name(file), {S_IFREG | 0644});
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
  UniqueFd object = OpenObject(*location);
  WriteOut(file, object, ContentOf(file, entry.next).size() / 2);
  open_.emplace(file, Writing{location->attr.inode, std::move(object)});
}

UniqueFd FaultLife::OpenObject(const Location& location) {
  const Replica& primary = location.replicas.front();
  const auto volume = Value(volumes_->Require(primary.volume), "volume");
  const ObjectName name{location.attr.inode, primary.object_generation};
  const ObjectOwner owner{0, 0, 0644};
  for (;;) {
    auto object = volume->OpenObject(name, O_RDWR | O_CREAT, &owner);
    if (object || !(object.error() == Code::kNoSpace)) return Value(std::move(object), "object");
    MakeRoom();
  }
}

void FaultLife::EndWrite(int file) {
  const auto open = open_.find(file);
  FaultEntry& entry = oracle_.files[file];
  WriteOut(file, open->second.object, ContentOf(file, entry.next).size());
  struct stat st;
  if (::fstat(open->second.object.get(), &st) != 0) Die("stat of an object");
  Ok(service_->CloseWrite(ctx_, open->second.inode, volumes::ContentOf(st)), "close");
  entry.version = entry.next;
  entry.damaged = false;
  entry.busy = false;
  open_.erase(open);
}

// The first `size` bytes of what is being written. Somebody makes room where there is none.
void FaultLife::WriteOut(int file, const UniqueFd& object, size_t size) {
  const std::string content = ContentOf(file, oracle_.files[file].next);
  for (bool again = false;; again = true) {
    const int error = Store(object.get(), content, size);
    if (error == 0) return;
    if (error != ENOSPC || again) Die("cannot write an object: " + std::to_string(error));
    MakeRoom();
  }
}

void FaultLife::Unlink(int file) {
  FaultEntry& entry = oracle_.files[file];
  if (open_.contains(file)) EndWrite(file);
  if (entry.version == 0) return;
  entry.busy = true;
  const auto removed = Value(service_->Unlink(ctx_, kRootInode, Name(file)), "unlink");
  Ok(service_->Forget(ctx_.session, std::span(&removed.inode, 1)), "forget");
  entry = {};
}

void FaultLife::Rename(int file) {
  FaultEntry& entry = oracle_.files[file];
  if (entry.version == 0) return;
  entry.busy = true;
  Value(service_->Rename(ctx_, kRootInode, NameOf(file, entry.other_name), kRootInode,
                         NameOf(file, !entry.other_name), 0),
        "rename");
  entry.other_name = !entry.other_name;
  entry.busy = open_.contains(file);
}

// Only where another good copy is sure to stay: two faults at once may lose a file.
void FaultLife::Damage(int file) {
  FaultEntry& entry = oracle_.files[file];
  if (entry.version == 0 || entry.busy || AnyDamaged() || AnyTrouble()) return;
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

// Trouble begins with one volume, or ends.
void FaultLife::Change(int index, meta::VolumeState state, uint64_t reserve) {
  if (oracle_.away[index] || AnyDamaged()) return;
  for (meta::VolumeInfo volume : Value(service_->ListVolumes(), "list")) {
    if (volume.name != "v" + std::to_string(index + 1)) continue;
    const bool troubled = volume.state != meta::VolumeState::kOnline || volume.reserve_bytes != 0;
    volume.state = troubled ? meta::VolumeState::kOnline : state;
    volume.reserve_bytes = troubled ? 0 : reserve;
    Ok(service_->UpdateVolume(volume), "update");
  }
}

// Somebody else fills the disk up to some hundred KiB, and nobody has noticed yet.
void FaultLife::FillUp(int volume) {
  const UniqueFd ballast(
      ::open(Ballast(volume).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!ballast) return;
  const std::string zeros(64 << 10, '\0');
  off_t size = 0;
  for (ssize_t n; (n = ::pwrite(ballast.get(), zeros.data(), zeros.size(), size)) > 0;) size += n;
  size = std::max<off_t>(0, size - static_cast<off_t>(random_() % (300 << 10)));
  if (::ftruncate(ballast.get(), size) != 0) Die("cannot shorten the ballast");
}

void FaultLife::MakeRoom() {
  for (int i = 0; i < kFaultVolumes; ++i)
    if (::truncate(Ballast(i).c_str(), 0) != 0 && errno != ENOENT) Die("cannot empty the ballast");
}

void FaultLife::Away(int volume) {
  if (!oracle_.away[volume]) {
    oracle_.away[volume] = true;
    stdfs::rename(Root(volume), Root(volume) + ".away");
  } else {
    if (MayRollBack(volume)) {
      oracle_.rolled_back[volume] = true;
      ++oracle_.rollbacks;
    }
    BringBack(volume);
  }
  Refresh();
}

// Replication has noticed that the volume is away.
bool FaultLife::IsNoted(VolumeId volume) {
  bool noted = false;
  Ok(meta::ForEachRecord(*service_, meta::PrefixOf(meta::CopyReason::kVolume),
                         [&](const meta::Record& record) -> Status {
                           const auto item = meta::ParseCopyItem(record.key);
                           noted |= item && item->inode.value == volume.value;
                           return {};
                         }),
     "queue");
  return noted;
}

// While it is away everything gets another copy, and some files are written.
void FaultLife::GoAndReturnOld(int volume) {
  if (!stdfs::exists(FaultSnapshotOf(directory_, volume))) return;
  Away(volume);
  for (int i = 0; i < 3; ++i) Write(static_cast<int>(random_() % kFaultFiles));
  while (!open_.empty()) EndWrite(open_.begin()->first);
  test::Eventually([&] { return MayRollBack(volume); }, std::chrono::seconds(2));
  Away(volume);
}

// It may come back as it was some time ago: where that has been kept, where its absence has been
// noticed, and where nothing is lost by it, because there is another good copy of each file.
bool FaultLife::MayRollBack(int volume) {
  if (!stdfs::exists(FaultSnapshotOf(directory_, volume)) || AnyDamaged() || !open_.empty())
    return false;
  VolumeId id;
  std::map<VolumeId, bool> fine;
  for (const auto& listed : Value(service_->ListVolumes(), "list")) {
    if (listed.name == "v" + std::to_string(volume + 1))
      id = listed.id;
    else
      fine[listed.id] = listed.state == meta::VolumeState::kOnline && listed.reserve_bytes == 0;
  }
  for (const auto& [other, is_fine] : fine)
    if (!is_fine) return false;
  if (!IsNoted(id)) return false;
  for (int file = 0; file < kFaultFiles; ++file) {
    const FaultEntry& entry = oracle_.files[file];
    if (entry.version == 0) continue;
    const auto attr = Value(service_->Lookup(ctx_, kRootInode, Name(file)), "lookup");
    const Location location = Value(service_->Locate(ctx_, attr.inode), "locate");
    if (std::none_of(location.replicas.begin(), location.replicas.end(), [&](const Replica& r) {
          return r.volume != id && r.state == ReplicaState::kCurrent && r.checksum;
        }))
      return false;
  }
  return true;
}

// Can be killed at any point, and done again.
void FaultLife::BringBack(int volume) {
  const std::string away = Root(volume) + ".away", old = FaultSnapshotOf(directory_, volume);
  if (oracle_.rolled_back[volume] && stdfs::exists(old)) {
    if (stdfs::exists(away)) stdfs::rename(away, Root(volume) + ".newer");
    stdfs::rename(old, Root(volume));
  } else if (stdfs::exists(away)) {
    stdfs::rename(away, Root(volume));
  }
  stdfs::remove_all(Root(volume) + ".newer");
  oracle_.away[volume] = false;
}

void FaultLife::Check(int file) {
  FaultEntry& entry = oracle_.files[file];
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

void FaultLife::CheckObjects() {
  for (const auto& volume : volumes_->All()) {
    const auto known = [&](const ObjectName& name) {
      const auto location = service_->Locate(ctx_, name.inode);
      return location && std::any_of(location->replicas.begin(), location->replicas.end(),
                                     [&](const Replica& replica) {
                                       return replica.volume == volume->id() &&
                                              replica.object_generation == name.generation;
                                     });
    };
    const auto check = [&](std::span<const ObjectName> names) -> Status {
      for (const ObjectName& name : names)
        Expect(known(name), "nobody's object: " + volume->root() + "/" + name.RelativePath());
      return {};
    };
    Ok(ForEachObject(*volume, check), "walk");
  }
}

}  // namespace pxfs::volumes
