// The store and the objects on the volumes, and loss of power that takes from both what was not
// synced: fs/make_durable.cc, volumes/settle.cc, maintenance.cc and file_copies.cc.
//
// Files are created, written, synced, renamed, removed and copied on a machine whose disks, that of
// the store and those of the volumes, write down in one order all that is done to them. Then the
// power goes at a thousand points of that record. Each time the service starts as it does after a
// loss of power, and what is there is compared: names and data that fsync had acknowledged are
// there, no byte is another file's, sizes are those of the objects, copies are equal, nothing is
// left over, and the checker finds nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "base/bytes.h"
#include "base/logging.h"
#include "fs/make_durable.h"
#include "tests/fs/fake_transport.h"
#include "tests/meta/service_fixture.h"
#include "tests/power/object_disk.h"
#include "tests/power/recording_env.h"
#include "tests/support/long_run.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"
#include "volumes/file_copies.h"
#include "volumes/maintenance.h"
#include "volumes/object_walk.h"
#include "volumes/settle.h"

namespace pxfs::power {
namespace {

using meta::CallContext;
using meta::IsOk;
using meta::Value;

constexpr const char* kStore = "/store";
constexpr const char* kCluster = "cluster";
constexpr size_t kSector = 512;
constexpr int64_t kObjectMark = int64_t{1} << 40, kNoteMark = int64_t{1} << 41;

size_t Operations() { return test::LongRun() ? 12'000 : 1'500; }
size_t Cuts() { return test::LongRun() ? 10'000 : 1'000; }

// What the test knows of a file's content: written before it is done, acknowledged after it was.
struct Note {
  enum class Kind { kWrite, kTruncate, kAcknowledged } kind;
  InodeId inode;
  uint64_t offset = 0;    // kTruncate: the new size
  std::string data = {};  // kAcknowledged: all of it
};

void Overlay(const Note& note, std::string* content) {
  if (note.kind == Note::Kind::kTruncate) return content->resize(note.offset);
  content->resize(std::max<size_t>(content->size(), note.offset + note.data.size()));
  content->replace(note.offset, note.data.size(), note.data);
}

// The names of a tree, with the inodes that they refer to.
using Tree = std::map<std::string, InodeId>;

Tree List(meta::MetadataService& metadata, InodeId directory, const std::string& prefix = "") {
  Tree tree;
  for (const auto& entry : Value(metadata.ReadDirectory({}, directory, 0, 10'000, false)).entries) {
    tree[prefix + entry.name] = entry.attr.inode;
    if (entry.attr.is_directory())
      tree.merge(List(metadata, entry.attr.inode, prefix + entry.name + "/"));
  }
  return tree;
}

// The volumes, at the same place for every life of the machine, in memory.
class Place {
 public:
  Place() {
    for (const char* name : {"v1", "v2"}) {
      meta::VolumeInfo info;
      info.name = name;
      info.uuid = NewUuid();
      info.path = directory_ / name;
      EXPECT_OK(volumes::Volume::Format(info.path, {kCluster, info.uuid, name}));
      infos_.push_back(info);
    }
  }
  const std::vector<meta::VolumeInfo>& infos() const { return infos_; }
  std::map<std::string, std::string> directories() const {
    std::map<std::string, std::string> all;
    for (const auto& info : infos_) all[info.name] = info.path;
    return all;
  }
  std::set<std::string> names() const { return {"v1", "v2"}; }

  // They hold exactly this.
  void Set(const ObjectDisks::Image& image) const {
    namespace stdfs = std::filesystem;
    for (const auto& info : infos_)
      for (const auto& entry : stdfs::directory_iterator(info.path + "/objects"))
        stdfs::remove_all(entry.path());
    for (const std::string& directory : image.directories)
      stdfs::create_directories(directory_ / directory);
    for (const auto& [path, content] : image.files) {
      const UniqueFd fd(::open((directory_ / path).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      ASSERT_TRUE(fd) << path << ": " << std::strerror(errno);
      ASSERT_EQ(::write(fd.get(), content.data(), content.size()),
                static_cast<ssize_t>(content.size()));
    }
  }

 private:
  test::TemporaryDirectory directory_;
  std::vector<meta::VolumeInfo> infos_;
};

// The metadata service and the volumes, as a mount has them.
class Machine {
 public:
  static std::unique_ptr<meta::KvEngine> OpenEngine(RecordingEnv& disk, bool create = false) {
    return Value(meta::OpenLevelDb(kStore, {create, 64 << 10, &disk}), "open the engine ");
  }
  explicit Machine(std::unique_ptr<meta::KvEngine> engine)
      : metadata(Value(meta::LocalService::Open(std::move(engine), {}, {}), "open ")) {}

  Status Start() {
    volumes = std::make_unique<volumes::VolumeSet>(kCluster, *metadata);
    PXFS_TRY(volumes->Refresh());
    return volumes::RecoverOpenFiles(*metadata, *volumes);
  }

  std::unique_ptr<meta::MetadataService> metadata;
  std::unique_ptr<volumes::VolumeSet> volumes;
};

class Copies final : public volumes::CopyHost {
 public:
  bool MayReturn(VolumeId) override { return false; }
  Status NoteAway(VolumeId) override { return {}; }
  bool Spend(VolumeId, VolumeId, uint64_t, uint64_t) override { return true; }
  void Reached(volumes::CopyStep) override {}
  void Begun(const meta::ObjectRef&) override {}
  void Ended(const meta::ObjectRef&) override {}
};

class Workload {
 public:
  Workload(const Place& place, uint64_t seed)
      : random_(seed), recorder_(place.directories(), [this](ObjectEvent event) {
          disk_.Mark(kObjectMark + static_cast<int64_t>(objects_.size()));
          objects_.push_back(std::move(event));
        }) {
    auto engine = Machine::OpenEngine(disk_, true);
    EXPECT_OK(meta::FormatStore(*engine, meta::CoarseClock()));
    machine_.emplace(std::move(engine));
    for (const meta::VolumeInfo& info : place.infos()) EXPECT_OK(metadata().AddVolume(info));
    EXPECT_OK(machine_->Start());
    ctx_.session = Value(metadata().OpenSession({"test", {}, nullptr}));
    EXPECT_OK(metadata().SetPolicy(ctx_, kRootInode, Value(meta::ParsePolicy("copies=2 hot=off"))));
    directories_.push_back(
        Value(metadata().MakeNode(ctx_, kRootInode, "d", {S_IFDIR | 0755, 0, 0, ""})).inode);
    state_ = Value(fs::ConnectionState::Create());
    fs_ = std::make_unique<fs::FileSystem>(metadata(), *machine_->volumes, transport_, *state_,
                                           ctx_.session, fs::FileSystemOptions());
    EXPECT_OK(metadata().Sync());
    trees_.push_back(List(metadata(), kRootInode));
    NamesAreDurable();
  }

  void Run(size_t operations) {
    while (done_ < operations) {
      ++done_;
      disk_.Mark(static_cast<int64_t>(done_));
      One();
      trees_.push_back(List(metadata(), kRootInode));
      if (std::exchange(names_are_durable_, false)) NamesAreDurable();
    }
    fs_.reset();
    machine_.reset();
  }

  const std::vector<DiskEvent>& events() const { return disk_.events(); }
  const ObjectEvent& object(size_t index) const { return objects_[index]; }
  size_t objects() const { return objects_.size(); }
  const Note& note(size_t index) const { return notes_[index]; }
  // After so many operations.
  const Tree& tree(size_t operations) const { return trees_[operations]; }
  size_t acknowledged() const { return acknowledged_; }
  size_t copied() const { return copied_; }

 private:
  meta::MetadataService& metadata() { return *machine_->metadata; }
  void Tell(Note note) {
    disk_.Mark(kNoteMark + static_cast<int64_t>(notes_.size()));
    notes_.push_back(std::move(note));
  }
  void NamesAreDurable() { disk_.Mark(-static_cast<int64_t>(done_) - 1); }
  void Acknowledge(InodeId inode) {
    Tell({Note::Kind::kAcknowledged, inode, 0, contents_[inode]});
    ++acknowledged_;
  }

  InodeId Directory() { return directories_[random_() % directories_.size()]; }
  std::string Name() { return "f" + std::to_string(random_() % 16); }
  std::optional<InodeId> Open() {
    if (open_.empty()) return std::nullopt;
    auto it = open_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random_() % open_.size()));
    return *it;
  }
  std::optional<InodeId> Closed(InodeId directory, const std::string& name) {
    const auto attr = metadata().Lookup(ctx_, directory, name);
    if (!attr || !attr->is_regular() || open_.contains(attr->inode)) return std::nullopt;
    return attr->inode;
  }

  void Create() {
    const auto made = metadata().Create(ctx_, Directory(), Name(), {.mode = S_IFREG | 0644});
    if (!made) return;
    const InodeId inode = made->attr.inode;
    contents_[inode];
    EXPECT_OK(fs_->open_files().Open(ctx_, inode, fs::OpenTable::Mode::kWrite, &*made));
    open_.insert(inode);
    for (size_t i = random_() % 3; i > 0; --i) Write(inode);
  }

  void Write(InodeId inode) {
    Note note{Note::Kind::kWrite, inode, kSector * (random_() % 24), {}};
    for (size_t sectors = 1 + random_() % 8; sectors > 0; --sectors) {
      std::string sector = std::to_string(inode.value) + " " + std::to_string(++stamp_) + " ";
      sector.resize(kSector, '.');
      note.data += sector;
    }
    Tell(note);
    Overlay(note, &contents_[inode]);
    const auto hold = fs_->open_files().BeginWrite(inode);
    const auto fd = Value(fs_->open_files().Descriptor(inode, true));
    EXPECT_EQ(
        ::pwrite(fd->get(), note.data.data(), note.data.size(), static_cast<off_t>(note.offset)),
        static_cast<ssize_t>(note.data.size()));
  }

  // As fs/ops/setattr.cc does it.
  void Truncate(InodeId inode) {
    const Note note{Note::Kind::kTruncate, inode, kSector * (random_() % 24), {}};
    Tell(note);
    Overlay(note, &contents_[inode]);
    EXPECT_OK(fs_->open_files().BeginWork(ctx_, inode));
    {
      const auto fd = Value(fs_->open_files().Descriptor(inode, true));
      EXPECT_EQ(::ftruncate(fd->get(), static_cast<off_t>(note.offset)), 0);
      struct stat st;
      EXPECT_EQ(::fstat(fd->get(), &st), 0);
      if (auto file = fs_->open_files().Find(inode)) (*file)->Changed();
      EXPECT_OK(metadata().SetAttr(ctx_, inode, {.content = volumes::ContentOf(st)}));
    }
    EXPECT_OK(fs_->open_files().EndWork(ctx_, inode));
  }

  void Sync(InodeId inode, bool data_only) {
    EXPECT_OK(fs::MakeDurable(*fs_, ctx_, inode, data_only));
    Acknowledge(inode);
    names_are_durable_ = !data_only;
  }

  void Close(InodeId inode) {
    EXPECT_OK(fs_->open_files().Release(ctx_, inode, fs::OpenTable::Mode::kWrite));
    open_.erase(inode);
    fs_->Forgotten(inode);
  }

  void Removed(const Result<meta::Removed>& removed) {
    if (!removed || !removed->orphaned) return;
    fs_->AddOrphan(removed->inode);
    if (!open_.contains(removed->inode)) fs_->Forgotten(removed->inode);
  }

  void Checkpoint() {
    if (!Value(volumes::Checkpoint(*metadata().keeper(), metadata(), *machine_->volumes))) return;
    for (const auto& [name, inode] : List(metadata(), kRootInode))
      if (contents_.contains(inode)) Acknowledge(inode);
    names_are_durable_ = true;
  }

  void Copy(InodeId inode) {
    Copies host;
    volumes::FileCopies copies(metadata(), *machine_->volumes, ctx_.session, host);
    EXPECT_OK(copies.Settle(inode));
    ++copied_;
  }

  void One() {
    const InodeId directory = Directory();
    const std::string name = Name();
    const auto open = Open();
    const auto closed = Closed(directory, name);
    switch (random_() % 24) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Create();
      case 4:
      case 5:
      case 6:
      case 7:
        if (open) Write(*open);
        return;
      case 8:
      case 9:
      case 10:
        if (open) Sync(*open, /*data_only=*/false);
        return;
      case 11:
        if (open) Sync(*open, /*data_only=*/true);
        return;
      case 12:
        if (open) Truncate(*open);
        return;
      case 13:
      case 14:
      case 15:
        if (open) Close(*open);
        return;
      case 16:
        if (!closed) return;
        EXPECT_OK(fs_->open_files().Open(ctx_, *closed, fs::OpenTable::Mode::kWrite));
        open_.insert(*closed);
        return Write(*closed);
      case 17:
        return Removed(metadata().Rename(ctx_, directory, name, Directory(), Name(), 0));
      case 18:
        return Removed(metadata().Unlink(ctx_, directory, name));
      case 19:
        if (closed) {
          const auto linked = metadata().Link(ctx_, *closed, Directory(), Name());
          EXPECT_TRUE(linked || linked.error() == Code::kExists) << linked.error().message();
        }
        return;
      case 20:
        EXPECT_OK(metadata().Sync());
        names_are_durable_ = true;
        return;
      case 21:
        EXPECT_OK(volumes::ReclaimOnce(metadata(), *machine_->volumes, 1000,
                                       std::chrono::milliseconds(0)));
        return;
      case 22:
        if (closed) Copy(*closed);
        return;
      default:
        if (random_() % 4 == 0) Checkpoint();
        return;
    }
  }

  std::mt19937_64 random_;
  RecordingEnv disk_;
  std::vector<ObjectEvent> objects_;
  ObjectRecorder recorder_;
  std::optional<Machine> machine_;
  fs::FakeTransport transport_{/*passthrough=*/false};
  std::unique_ptr<fs::ConnectionState> state_;
  std::unique_ptr<fs::FileSystem> fs_;
  CallContext ctx_;
  std::vector<InodeId> directories_{kRootInode};
  std::set<InodeId> open_;                   // for writing
  std::map<InodeId, std::string> contents_;  // as a reader would find them
  std::vector<Note> notes_;
  std::vector<Tree> trees_;
  size_t done_ = 0, stamp_ = 0, acknowledged_ = 0, copied_ = 0;
  bool names_are_durable_ = false;
};

// What is known of the files at the moment of the cut.
class Expectation {
 public:
  void Learn(const Note& note) {
    Content& content = contents_[note.inode];
    if (note.kind == Note::Kind::kAcknowledged)
      content = {note.data, {}};
    else
      content.later.push_back(note);
  }

  // Empty: it may be so.
  std::string Objection(InodeId inode, const std::string& found) const {
    const auto known = contents_.find(inode);
    const Content& content = known == contents_.end() ? Content() : known->second;
    size_t least = content.durable.size(), most = least;
    std::string now = content.durable;
    for (const Note& note : content.later) {
      Overlay(note, &now);
      least = std::min(least, now.size());
      most = std::max(most, now.size());
    }
    if (found.size() < least || found.size() > most || found.size() % kSector != 0)
      return "its size is " + std::to_string(found.size()) + ", not between " +
             std::to_string(least) + " and " + std::to_string(most);
    for (size_t at = 0; at < found.size(); at += kSector)
      if (!Explained(content, at, found.substr(at, kSector)))
        return "its bytes at " + std::to_string(at) + " are '" + found.substr(at, 24) + "...'";
    return "";
  }

 private:
  struct Content {
    std::string durable;
    std::vector<Note> later;
  };

  static bool Explained(const Content& content, size_t at, const std::string& sector) {
    const bool was_there = at < content.durable.size();
    if (was_there && content.durable.compare(at, kSector, sector) == 0) return true;
    const bool zeros = sector == std::string(kSector, '\0');
    // Of a file that grew the size may be there without the bytes.
    if (zeros && !was_there) return true;
    return std::any_of(content.later.begin(), content.later.end(), [&](const Note& note) {
      if (note.kind == Note::Kind::kTruncate) return zeros && note.offset <= at;
      return note.offset <= at && at < note.offset + note.data.size() &&
             note.data.compare(at - note.offset, kSector, sector) == 0;
    });
  }

  std::map<InodeId, Content> contents_;
};

std::string ReadObject(const volumes::Volume& volume, const volumes::ObjectName& name) {
  const auto fd = volume.OpenObject(name, O_RDONLY);
  if (!fd) return "missing";
  struct stat st;
  EXPECT_EQ(::fstat(fd->get(), &st), 0);
  std::string content(static_cast<size_t>(st.st_size), 0);
  EXPECT_EQ(::pread(fd->get(), content.data(), content.size(), 0), st.st_size);
  return content;
}

class Survivor {
 public:
  Survivor(RecordingEnv& disk, const Expectation& expected)
      : machine_(Machine::OpenEngine(disk)), expected_(expected) {}

  void Check(const Workload& workload, const Bounds& bounds) {
    EXPECT_OK(machine_.Start());
    EXPECT_OK(volumes::SettlePowerLoss(metadata(), *machine_.volumes));
    while (Value(volumes::ReclaimOnce(metadata(), *machine_.volumes, 1000,
                                      std::chrono::milliseconds(0))) > 0) {
    }
    const Tree tree = List(metadata(), kRootInode);
    bool found = false;
    for (size_t i = bounds.durable; i <= bounds.begun && !found; ++i)
      found = workload.tree(i) == tree;
    EXPECT_TRUE(found) << "names not as after any of the operations " << bounds.durable << " to "
                       << bounds.begun;
    for (const auto& [name, inode] : tree) CheckFile(name, inode);
    CheckNothingIsLeftOver();
    EXPECT_OK(metadata().Sync());
  }

 private:
  meta::MetadataService& metadata() { return *machine_.metadata; }

  void CheckFile(const std::string& name, InodeId inode) {
    const auto file = Value(metadata().Locate({}, inode), "locate ");
    if (!file.attr.is_regular()) return;
    std::string what = name + ", inode " + std::to_string(inode.value);
    for (const meta::Replica& replica : file.replicas)
      what += std::string(replica.primary ? ", primary" : ", copy") + " of generation " +
              std::to_string(replica.generation) + " on " + std::to_string(replica.volume.value) +
              ", " + meta::ToString(replica.state) + (replica.materialized ? "" : ", not made");
    EXPECT_FALSE(file.attr.open_for_write) << what;
    ASSERT_FALSE(file.replicas.empty()) << what;
    std::optional<std::string> content;
    for (const meta::Replica& replica : file.replicas) {
      referred_.insert({replica.volume, inode, replica.object_generation});
      if (replica.state != meta::ReplicaState::kCurrent) continue;
      const auto volume = machine_.volumes->Find(replica.volume);
      ASSERT_TRUE(volume) << what;
      const std::string its = ReadObject(*volume, {inode, replica.object_generation});
      EXPECT_TRUE(!content || *content == its) << what << ": its copies differ";
      content = its;
    }
    ASSERT_TRUE(content) << what << ": no current copy";
    EXPECT_EQ(file.attr.size_bytes, content->size()) << what;
    EXPECT_EQ(expected_.Objection(inode, *content), "") << what;
  }

  void CheckNothingIsLeftOver() {
    for (const auto& volume : machine_.volumes->All()) {
      EXPECT_OK(volumes::ForEachObject(*volume, [&](std::span<const volumes::ObjectName> names) {
        for (const auto& name : names)
          EXPECT_TRUE(referred_.contains({volume->id(), name.inode, name.generation}))
              << volume->name() << ": object " << name.RelativePath() << " is left over";
        return Status();
      }));
    }
  }

  Machine machine_;
  const Expectation& expected_;
  std::set<std::tuple<VolumeId, InodeId, uint64_t>> referred_;
};

TEST(PowerObjectsTest, WhatFsyncAcknowledgedIsThereNamesAndData) {
  EXPECT_TRUE(InitLogging({.file = "", .level = "error"}));
  if (std::filesystem::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
  const uint64_t seed = test::SeedOfRun();
  int boots = 1;
  SetBoots(boots);
  const Place place;
  std::optional<Workload> workload(std::in_place, place, seed);
  workload->Run(Operations());
  ASSERT_FALSE(HasFailure());

  const auto& events = workload->events();
  std::mt19937_64 random(seed + 1);
  const std::vector<size_t> points = CutPoints(events, Cuts(), random);
  ASSERT_FALSE(points.empty()) << "the store was never synced";

  DiskReplay store;
  ObjectDisks objects(place.names());
  Expectation expected;
  Bounds bounds;
  size_t done = 0;
  for (const size_t point : points) {
    for (; done < point; ++done) {
      const DiskEvent& event = events[done];
      store.Apply(event);
      if (event.kind != DiskEvent::Kind::kMark) continue;
      if (event.number >= kNoteMark)
        expected.Learn(workload->note(static_cast<size_t>(event.number - kNoteMark)));
      else if (event.number >= kObjectMark)
        objects.Apply(workload->object(static_cast<size_t>(event.number - kObjectMark)));
      else if (event.number > 0)
        bounds.begun = static_cast<size_t>(event.number);
      else
        bounds.durable = static_cast<size_t>(-event.number - 1);
    }
    place.Set(objects.AfterPowerCut(random));
    SetBoots(++boots);
    RecordingEnv left(store.AfterPowerCut(random));
    Survivor(left, expected).Check(*workload, bounds);
    const auto engine = Machine::OpenEngine(left);
    EXPECT_EQ(Value(meta::CheckStore(*engine)), std::vector<std::string>());
    ASSERT_FALSE(HasFailure()) << "after event " << point << " of " << events.size();
  }
  std::cout << points.size() << " power cuts in " << events.size() << " events of " << Operations()
            << " operations, " << workload->objects() << " of them on objects; "
            << workload->acknowledged() << " times content was acknowledged, " << workload->copied()
            << " files were copied" << std::endl;
}

}  // namespace
}  // namespace pxfs::power
