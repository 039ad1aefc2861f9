// The volumes' disks: a shim below the I/O on objects, which writes down all that is done to them,
// and what is left of that if the power goes at any moment.
//
// The shim is in the test's own program: it defines openat, pwrite, fsync and the like, which do
// what they always do and tell of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace pxfs::power {

struct ObjectEvent {
  enum class Kind : uint8_t {
    kCreate,           // file, path: a new, empty file
    kMakeDirectory,    // path
    kRemove,           // path
    kRemoveDirectory,  // path
    kWrite,            // file, offset, data
    kTruncate,         // file, offset: its size
    kSyncFile,         // file
    kSyncDirectory,    // path: the names in it
    kSyncAll,          // path: everything on this volume
  };
  Kind kind;
  std::string path = {};  // "VOLUME/objects/..."
  uint64_t file = 0;      // number of the file
  uint64_t offset = 0;
  std::string data = {};
};

// Tells `tell` of all I/O below these directories, by the names given to them, while it lives. One
// at a time. Nothing there is synced in truth. Thread-safe.
class ObjectRecorder {
 public:
  ObjectRecorder(const std::map<std::string, std::string>& directories,
                 std::function<void(ObjectEvent)> tell);
  ~ObjectRecorder();
};

// From now on the machine has been started this often, as far as this program can see.
void SetBoots(int boots);

// The same disks as the events made them, up to any of these.
class ObjectDisks {
 public:
  // volumes: their names; each has a directory `objects` that is durable.
  explicit ObjectDisks(const std::set<std::string>& volumes);
  void Apply(const ObjectEvent& event);

  struct Image {
    std::set<std::string> directories;         // parents before children
    std::map<std::string, std::string> files;  // content by path
  };
  // What they may hold if the power goes now: all that was synced, and of the rest whatever
  // `random` picks: of the names the earlier changes or any of them, of the content nothing, some
  // of the writes, some of their sectors, or a size without its bytes.
  Image AfterPowerCut(std::mt19937_64& random) const;

 private:
  struct File {
    std::string synced;
    std::vector<ObjectEvent> pending;
  };
  struct Names {
    std::set<std::string> directories;
    std::map<std::string, uint64_t> files;
  };

  static void ApplyNames(const ObjectEvent& event, Names* names);
  void SyncNames(const std::function<bool(const std::string& path)>& covered);

  std::map<uint64_t, File> files_;
  std::map<uint64_t, std::string> volume_of_;
  Names durable_;
  std::vector<ObjectEvent> changes_;  // of names, since they were synced
};

}  // namespace pxfs::power
