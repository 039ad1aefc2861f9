// OpenTable: the inodes that this mount has open, each with its object, its backing id and the
// count of its opens.
//
// 1. All opens of an inode share one backing id while any is open: the kernel refuses a second one
// with EIO.
// 2. A record with writers has the write grant of the metadata service; the last writer's release
// gives it back.
// 3. After the last release the backing stays registered for a while (kIdleBackings, kIdleTime), so
// that a file that is opened again at once needs no system call for it. Executable files are let go
// at once: a descriptor that may write them would make execve of a hard link (the fast path) fail
// with ETXTBSY.
// 4. What the next daemon needs lies in ConnectionState; everything else here can be made again
// from it.
//
// 5. Who changes how a file is open (opens, releases, truncates it, sets its attributes, lets it
// go) takes its Turn: one at a time, which makes 1 true. A Turn outlasts calls to the metadata
// service, which can wait for other mounts to drop what they cache; the lock does not. So what
// other mounts ask of this one meanwhile (DropIdle) never waits for a Turn, and two mounts never
// wait for each other.
//
// 6. Under the policy commit=close nothing goes by passthrough. fsync and close of a writer commit
// what was written and give the grant back, though the file stays open, so that it can be copied
// (Commit); the next write gets the grant again (BeginWrite). grant_unsure says so meanwhile, which
// is also what a next daemon takes for granted.
//
// Order: a Turn, an OpenFile's writes, its mutex, a shard's, the idle list's. A mutex is held over
// the opening of an object, never over a change of metadata.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "fs/connection_state.h"
#include "fs/descriptor_pool.h"
#include "fs/open_file.h"
#include "fs/transport.h"
#include "meta/service.h"
#include "volumes/volume.h"

namespace pxfs::fs {

class OpenTable {
 public:
  // The only one who changes how a file is open; see 5.
  class Turn {
   public:
    // Waits for the end of the present one.
    Turn(OpenTable& table, std::shared_ptr<OpenFile> file);
    Turn(Turn&&) noexcept = default;
    ~Turn();
    OpenFile* operator->() const { return file_.get(); }
    OpenFile& operator*() const { return *file_; }
    const std::shared_ptr<OpenFile>& shared() const { return file_; }

    // Calls what may wait for others, with the file unlocked.
    template <typename Call>
    auto Outside(Call call) {
      lock_.unlock();
      auto result = call();
      lock_.lock();
      return result;
    }

   private:
    OpenTable* table_;
    std::shared_ptr<OpenFile> file_;  // null once moved from
    std::unique_lock<std::mutex> lock_;
  };

  static constexpr size_t kIdleBackings = 8192;
  // They are let go of in batches, so that not every release wakes the thread that does it.
  static constexpr size_t kIdleBatch = 128;
  static constexpr std::chrono::seconds kIdleTime{3};
  // A file that is opened again after that is looked up again, for a copy on a less busy volume.
  static constexpr std::chrono::seconds kChooseAgain{3};
  // The same if its volume has gone.
  static constexpr std::chrono::milliseconds kLookAtVolume{500};
  static constexpr std::chrono::milliseconds kIdleSlack{
      250};  // the same for those whose time is over

  struct Environment {
    meta::MetadataService* metadata;
    const volumes::VolumeSet* volumes;
    Transport* transport;
    SessionId session;
    // Of inodes that are open or idle; at most ConnectionState::kMaxOpenInodes.
    size_t max_open = ConnectionState::kMaxOpenInodes;
    size_t max_descriptors = 512;  // of objects
  };

  // Takes over the records that `state` holds.
  OpenTable(const Environment& environment, ConnectionState& state);
  ~OpenTable();
  // Ends the thread that lets go of files which nobody has open; idle ones stay so. It tells the
  // kernel, so it ends before the FUSE session does. May be called again.
  void StopIdling();

  // The reply to an open: how the kernel shall do I/O on it.
  struct Opened {
    int32_t backing_id = 0;   // 0: no passthrough
    bool direct_io = false;   // through the daemon, past a backing that cannot serve this open
    uint64_t size_bytes = 0;  // of the file, when it was first opened
    uint32_t flags = 0;       // of the file (meta::Attr), where it was opened for writing
    bool commits = false;     // its close is to be told (Commit)
  };
  enum class Mode { kRead, kWrite };
  // Counts an open of the inode, and gets the write grant for the first writer. `created`: the
  // location as MetadataService::Create returned it, with the grant, which is given back where the
  // mode is kRead. kTooManyOpen: max_open others are open; idle ones are given up for it.
  Result<Opened> Open(const meta::CallContext& ctx, InodeId inode, Mode mode,
                      const meta::Location* created = nullptr);
  // Counts a release. The last writer's commits size and times to metadata.
  Status Release(const meta::CallContext& ctx, InodeId inode, Mode mode);

  // The daemon's own writing, within one request: between these, Descriptor works and the grant is
  // held, as with an Open for writing and its Release. EndWork commits size and times.
  Status BeginWork(const meta::CallContext& ctx, InodeId inode);
  Status EndWork(const meta::CallContext& ctx, InodeId inode);

  // Before content changes on a descriptor of the inode: keeps commits away until what is returned
  // is given up, and has the grant where a commit gave it back. Empty where nothing commits.
  class WriteHold {
   public:
    WriteHold() = default;
    WriteHold(std::shared_ptr<OpenFile> file, std::shared_lock<std::shared_mutex> lock)
        : file_(std::move(file)), lock_(std::move(lock)) {}

   private:
    std::shared_ptr<OpenFile> file_;
    std::shared_lock<std::shared_mutex> lock_;
  };
  Result<WriteHold> BeginWrite(InodeId inode);
  // Commits what a file that is open for writing holds now, and gives the grant back (see 6).
  // Returns how many copies are to be waited for; 0: its policy asks for none, and nothing was
  // done.
  Result<uint32_t> Commit(InodeId inode);

  // Memory is short: lets go of all files that are idle, in a moment.
  void GiveUpIdle();

  // The session that had the write grants is gone: gets them again for this mount's.
  void RegainGrants();

  // The turn of an open file, if the mount has it open or idle.
  std::optional<Turn> TakeTurn(InodeId inode);
  // The open file, locked, if the mount has it open or idle.
  std::optional<OpenFileRef> Find(InodeId inode);
  // Somebody here has it open for writing.
  bool IsWritten(InodeId inode);
  // The kernel has a backing for the inode.
  bool HasBacking(InodeId inode);
  // A descriptor of the object of an open file. kStale: the mount does not have it open. kNotFound:
  // the object is gone, as can happen to a reader whose copy others have replaced since.
  Result<std::shared_ptr<UniqueFd>> Descriptor(InodeId inode, bool writable);
  // Another object of the same content, after reading `failed` gave EIO (null: Descriptor found
  // none); the open file goes on with it. `tried`: volumes that need not be tried again. kIo: there
  // is none, or the file cannot change its object now.
  Result<std::shared_ptr<UniqueFd>> ReadElsewhere(const meta::CallContext& ctx, InodeId inode,
                                                  const std::shared_ptr<UniqueFd>& failed,
                                                  std::vector<VolumeId>& tried);
  // The content of an open file as it is on its volume now. Needs the file's lock.
  Result<struct stat> Stat(OpenFile& file);

  // The inode has these flags now. Those of a file that is open for writing, 0 where it is not.
  void SetFlags(InodeId inode, uint32_t flags);
  uint32_t FlagsOf(InodeId inode);

  // Lets go of the backing of a file that is idle: it was removed, or may now be executed, or
  // another session writes it. Waits for nobody.
  void DropIdle(InodeId inode);

  size_t open_inodes() const;

 private:
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<InodeId, std::shared_ptr<OpenFile>> files;
  };
  struct Idle {
    std::shared_ptr<OpenFile> file;
    uint64_t ticket = 0;
    std::chrono::steady_clock::time_point since{};
  };

  Shard& ShardOf(InodeId inode) { return shards_[std::hash<InodeId>{}(inode) % shards_.size()]; }
  // The replicas that an open can use, the best first: for writing the primary alone.
  std::vector<const meta::Replica*> Usable(const meta::Location& location, bool writable) const;
  // kTooManyOpen.
  Result<Turn> FindOrAdd(InodeId inode);
  // Makes room for another record. False: nobody is idle.
  bool GiveUpOldestIdle();
  bool EndIdling(const Idle& idle);
  std::shared_ptr<OpenFile> Peek(InodeId inode);
  // Binds the file to the object that takes its writes and gets the grant for it.
  Status BeginWriting(const meta::CallContext& ctx, Turn& file, const meta::Location* created);
  // The writes of an open file that does not go by passthrough go to the primary from now on.
  Status FollowPrimary(OpenFile& file, const meta::Location& location);
  // Content that OpenForWrite wants elsewhere is copied there first. Where that fails, or readers
  // use the object, it stays; the log says why.
  Result<meta::Location> MoveFirst(const meta::CallContext& ctx, Turn& file,
                                   const meta::Location& granted, const meta::Replica& copy);
  Status BeginReading(const meta::CallContext& ctx, Turn& file);
  struct Binding {
    bool writable = false;
    bool created = false;    // the object is not there yet, unless the request is a repetition
    bool looked_at = false;  // what may be older than the content (VolumeSet::Doubtful) is not
    bool doubtful = false;   // out: something was passed over as it may be
  };
  Status BindObject(OpenFile& file, const meta::Location& location, Binding& binding);
  Status BindReplica(OpenFile& file, const meta::Location& location, const meta::Replica& replica,
                     Binding& binding);
  // What volumes are back with is the content of the file, or there is another copy that is; else
  // kUnavailable. Reads it where that is needed.
  Status LookAtReturned(Turn& file);
  Status EndWriting(meta::CallContext ctx, Turn& file);
  // Nobody uses the file any more: it is idle or goes.
  void Settle(Turn& file);
  void GiveUp(Turn& file);
  void Register(OpenFile& file, UniqueFd fd, bool writable, bool passthrough);
  void GoIdle(const std::shared_ptr<OpenFile>& file);
  // Needs the lock of an idle file.
  void LetGo(const std::shared_ptr<OpenFile>& file);
  void Remove(Turn& file);
  void SetCounts(const meta::CallContext& ctx, OpenFile& file, OpenCounts after);
  // The request is one that a daemon before this one had counted, and had not answered.
  bool AlreadyCounted(const meta::CallContext& ctx);
  void LearnCountedRequests();
  void LearnAtime(Turn& file);
  void Unbind(OpenFile& file);
  // Opens of the file in the load of its volume.
  void BeginLoad(OpenFile& file);
  void EndLoad(OpenFile& file, uint32_t opens);
  // Null: there are max_open.
  OpenRecord* TakeRecord(InodeId inode);
  void IdleLoop();

  const Environment env_;
  ConnectionState& state_;
  DescriptorPool descriptors_;
  std::array<Shard, 64> shards_;

  std::mutex counted_mutex_;
  std::unordered_set<uint64_t>
      counted_requests_;                 // by daemons before this one; guarded by counted_mutex_
  std::atomic<size_t> counted_left_{0};  // its size, to spare the lock

  std::mutex free_mutex_;
  std::vector<uint32_t> free_records_;  // given back; guarded by free_mutex_
  uint32_t next_record_ = 0;            // never used so far; guarded by free_mutex_
  // More than max_open where an earlier daemon was allowed more; guarded by free_mutex_.
  size_t records_used() const { return next_record_ - free_records_.size(); }

  std::mutex idle_mutex_;
  std::condition_variable idle_changed_;
  std::deque<Idle> idle_;  // oldest first
  uint64_t next_ticket_ = 1;
  uint64_t give_up_ = 0;  // idle ones with tickets below it go at once
  bool stopping_ = false;
  std::thread idle_thread_;
};

}  // namespace pxfs::fs
