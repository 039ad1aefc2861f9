// Sessions, what they hold, what becomes of it when they die, and what they are told:
// meta/sessions.cc, meta/listener_queue.cc, ops/close_session.cc, files_to_recover.cc,
// open_for_write.cc.
#include <linux/fs.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "meta/listener_queue.h"
#include "tests/meta/service_fixture.h"

namespace pxfs::meta {
namespace {

using Kind = Invalidation::Kind;

class Recorder : public CacheListener {
 public:
  void Invalidate(std::span<const Invalidation> items) override {
    std::lock_guard lock(mutex_);
    for (const Invalidation& item : items) seen_.push_back(item);
  }
  std::vector<Invalidation> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(seen_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Invalidation> seen_;
};

// A listener that lets too much pile up is told in the end that anything may have changed, and all
// that waited for it goes on; what it has to give up, it is told for sure.
TEST(ListenerQueueTest, WhoIsFarBehindDropsEverything) {
  class Slow final : public CacheListener {
   public:
    void Invalidate(std::span<const Invalidation> items) override {
      std::unique_lock lock(mutex_);
      free_.wait(lock, [&] { return go_on_; });
      for (const Invalidation& item : items) seen_.push_back(item);
    }
    void GoOn() {
      std::lock_guard lock(mutex_);
      go_on_ = true;
      free_.notify_all();
    }
    std::vector<Invalidation> seen() {
      std::lock_guard lock(mutex_);
      return seen_;
    }

   private:
    std::mutex mutex_;
    std::condition_variable free_;
    bool go_on_ = false;
    std::vector<Invalidation> seen_;
  } listener;
  ListenerQueue queue(SessionId(1), listener);
  constexpr size_t kPosted = ListenerQueue::kMaxQueued + 100;
  std::vector<std::shared_ptr<Delivery>> deliveries;
  for (size_t i = 0; i < kPosted; ++i) {
    const Kind kind = i % 20'000 == 19'999 ? Kind::kOrphaned : Kind::kAttr;
    deliveries.push_back(
        std::make_shared<Delivery>(std::vector<Invalidation>{{kind, InodeId(i + 1), {}}}));
    queue.Post(deliveries.back());
  }
  listener.GoOn();
  for (const auto& delivery : deliveries) ASSERT_TRUE(delivery->Wait(std::chrono::seconds(30)));
  const auto seen = listener.seen();
  EXPECT_LT(seen.size(), 300u);
  size_t all = 0, orphans = 0;
  for (const Invalidation& item : seen) {
    all += item.kind == Kind::kAll;
    orphans += item.kind == Kind::kOrphaned;
  }
  EXPECT_EQ(all, 1u);
  EXPECT_EQ(orphans, 5u);
  EXPECT_EQ(seen.back().inode, InodeId(kPosted)) << "what came later is told as ever";
}

// Does not return until it is let go.
class Stuck : public CacheListener {
 public:
  void Invalidate(std::span<const Invalidation>) override {
    std::unique_lock lock(mutex_);
    ++calls_;
    freed_.wait(lock, [&] { return free_; });
  }
  void LetGo() {
    std::lock_guard lock(mutex_);
    free_ = true;
    freed_.notify_all();
  }
  int calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  bool free_ = false;
  int calls_ = 0;
};

bool Has(const std::vector<Invalidation>& items, Kind kind, InodeId inode, std::string name = "") {
  for (const Invalidation& item : items)
    if (item.kind == kind && item.inode == inode && item.name == name) return true;
  return false;
}

class SessionTest : public ServiceTest {
 protected:
  InodeId OpenFile(const CallContext& ctx, const std::string& name) {
    return Value(service_->Create(ctx, kRootInode, name, {S_IFREG | 0644, 0, 0, ""})).attr.inode;
  }
  CallContext In(SessionId session) const {
    CallContext ctx = ctx_;
    ctx.session = session;
    return ctx;
  }
};

TEST_P(SessionTest, OthersAreToldAndTheCallerIsNot) {
  Recorder other, own;
  const SessionId watching = OpenSession("other", &other), self = OpenSession("self", &own);
  const CallContext ctx = In(self);
  const InodeId d =
      Value(service_->MakeNode(ctx, kRootInode, "d", {S_IFDIR | 0755, 0, 0, ""})).inode;
  auto seen = other.Take();
  EXPECT_TRUE(Has(seen, Kind::kEntry, kRootInode, "d"));
  EXPECT_TRUE(Has(seen, Kind::kAttr, kRootInode));

  const InodeId f = OpenFile(ctx, "f");
  EXPECT_TRUE(Has(other.Take(), Kind::kEntry, kRootInode, "f"));
  EXPECT_OK(service_->CloseWrite(ctx, f, Content(1)));
  EXPECT_TRUE(Has(other.Take(), Kind::kContent, f));
  EXPECT_OK(service_->OpenForWrite(ctx, f, {}));
  EXPECT_TRUE(Has(other.Take(), Kind::kContent, f));
  EXPECT_OK(service_->CloseWrite(ctx, f, Content(2)));
  EXPECT_OK(service_->SetXattr(ctx, f, "user.a", "b", 0));
  EXPECT_TRUE(Has(other.Take(), Kind::kAttr, f));

  EXPECT_OK(service_->Link(ctx, f, d, "g"));
  seen = other.Take();
  EXPECT_TRUE(Has(seen, Kind::kEntry, d, "g"));
  EXPECT_TRUE(Has(seen, Kind::kAttr, f));
  EXPECT_OK(service_->Rename(ctx, d, "g", kRootInode, "h", 0));
  seen = other.Take();
  EXPECT_TRUE(Has(seen, Kind::kEntry, d, "g"));
  EXPECT_TRUE(Has(seen, Kind::kEntry, kRootInode, "h"));
  EXPECT_TRUE(Has(seen, Kind::kAttr, d));
  EXPECT_OK(service_->Unlink(ctx, kRootInode, "h"));
  EXPECT_TRUE(Has(other.Take(), Kind::kAttr, f)) << "one name is left";
  EXPECT_OK(service_->Unlink(ctx, kRootInode, "f"));
  EXPECT_TRUE(Has(other.Take(), Kind::kOrphaned, f));
  EXPECT_OK(service_->RemoveDirectory(ctx, kRootInode, "d"));
  EXPECT_TRUE(Has(other.Take(), Kind::kOrphaned, d));
  EXPECT_TRUE(own.Take().empty());
  EXPECT_OK(service_->CloseSession(watching));
  EXPECT_OK(service_->CloseSession(self));
}

TEST_P(SessionTest, AStuckListenerDelaysOnceAndNotForEver) {
  options_.revoke_timeout = std::chrono::milliseconds(50);
  Reopen();
  Stuck stuck;
  Recorder healthy;
  const SessionId a = OpenSession("stuck", &stuck), b = OpenSession("healthy", &healthy);
  const auto begin = std::chrono::steady_clock::now();
  MakeDirectory(kRootInode, "d");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
  EXPECT_TRUE(Has(healthy.Take(), Kind::kEntry, kRootInode, "d"));
  // It would take 50 s to wait for it every time; the time limit of the test is far above what this
  // takes.
  const auto again = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) MakeDirectory(kRootInode, "d" + std::to_string(i));
  EXPECT_LT(std::chrono::steady_clock::now() - again, std::chrono::seconds(40));
  EXPECT_EQ(stuck.calls(), 1);
  stuck.LetGo();
  EXPECT_OK(service_->CloseSession(a));
  EXPECT_OK(service_->CloseSession(b));
}

// A session that caches, of a service that died, and a change by another one in its successor.
class RestartTest : public SessionTest {
 protected:
  void Restart(std::chrono::milliseconds grace, pid_t holder) {
    {
      Recorder before;
      SessionSpec spec{"mount", {}, &before};
      spec.holder = holder;
      caching_ = Value(service_->OpenSession(spec));
      options_.session_grace = grace;
      // The listener ends with the process, the session does not.
      service_.reset();
    }
    Start();
    ReportVolume();
    service_->keeper()->BeginServing();
  }
  std::future<Code> Change() {
    return std::async(std::launch::async, [this] {
      return CodeOf(service_->MakeNode(ctx_, kRootInode, "d", {S_IFDIR | 0755, 0, 0, ""}));
    });
  }
  SessionId caching_;
};

TEST_P(RestartTest, AChangeWaitsForASessionThatIsStillToBeResumed) {
  Restart(std::chrono::minutes(10), ::getpid());
  auto change = Change();
  EXPECT_EQ(change.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  Recorder listener;
  SessionSpec spec{"", caching_, &listener};
  EXPECT_EQ(Value(service_->OpenSession(spec)), caching_);
  EXPECT_EQ(change.get(), Code{});
  EXPECT_TRUE(Has(listener.Take(), Kind::kEntry, kRootInode, "d"));
  EXPECT_OK(service_->CloseSession(caching_));
}

TEST_P(RestartTest, OrUntilItIsClosedOrTheGraceIsOver) {
  Restart(std::chrono::minutes(10), 0);
  auto change = Change();
  EXPECT_EQ(change.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  EXPECT_OK(service_->CloseSession(caching_));
  EXPECT_EQ(change.get(), Code{});

  Restart(std::chrono::milliseconds(50), 0);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_OK(service_->RemoveDirectory(ctx_, kRootInode, "d"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST_P(RestartTest, NotForOneThatNobodyCanResume) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  {
    Recorder before;
    SessionSpec spec{"mount", {}, &before};
    spec.holder = child;
    caching_ = Value(service_->OpenSession(spec));
    service_.reset();
  }
  ::kill(child, SIGKILL);
  siginfo_t ended;  // it stays to be waited for, as the dead do where nobody looks after them
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  options_.session_grace = std::chrono::minutes(10);
  Start();
  ReportVolume();
  service_->keeper()->BeginServing();
  EXPECT_EQ(Change().get(), Code{});
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

INSTANTIATE_TEST_SUITE_P(Engines, RestartTest,
                         testing::Values(EngineKind::kMemory, EngineKind::kLevelDb));

TEST_P(SessionTest, ListenersAreNotCalledAfterTheirSession) {
  auto listener = std::make_unique<Recorder>();
  const SessionId session = OpenSession("short", listener.get());
  EXPECT_OK(service_->CloseSession(session));
  listener.reset();  // a call would crash
  MakeDirectory(kRootInode, "d");
  EXPECT_CODE(Code::kInvalid, service_->CloseSession(session));
  EXPECT_CODE(Code::kInvalid, service_->OpenForWrite(In(session), kRootInode, {}));
}

TEST_P(SessionTest, ResumingTakesOver) {
  auto first = std::make_unique<Recorder>();
  Recorder second;
  const SessionId session = OpenSession("mount", first.get());
  const InodeId f = OpenFile(In(session), "f");
  EXPECT_EQ(Value(service_->OpenSession({"", session, &second})), session);
  first.reset();
  MakeDirectory(kRootInode, "d");
  EXPECT_TRUE(Has(second.Take(), Kind::kEntry, kRootInode, "d"));
  EXPECT_OK(service_->CloseWrite(In(session), f, Content(1)));
  EXPECT_CODE(Code::kNotFound, service_->OpenSession({"", SessionId(999), nullptr}));
  const auto sessions = Value(service_->GetStatistics()).sessions;
  ASSERT_EQ(sessions.size(), 2u);
  EXPECT_EQ(sessions[1].description, "mount");
  EXPECT_OK(service_->CloseSession(session));
}

TEST_P(SessionTest, OnceOpenStaysOpenUntilClosed) {
  const InodeId f = MakeFile(kRootInode, "f");
  const Location first = Value(service_->OpenForWrite(ctx_, f, {}));
  const Location again = Value(service_->OpenForWrite(ctx_, f, {}));
  EXPECT_EQ(first.attr.generation, again.attr.generation);
  const CallContext other = In(OpenSession("other"));
  const Location shared = Value(service_->OpenForWrite(other, f, {}));
  EXPECT_GT(shared.attr.generation, first.attr.generation);
  EXPECT_EQ(Value(service_->GetStatistics()).open_for_write, 2u);
  EXPECT_OK(service_->CloseWrite(ctx_, f, Content(1)));
  EXPECT_TRUE(Stat(f).open_for_write);
  EXPECT_OK(service_->CommitContent(other, f, Content(5)));
  EXPECT_EQ(Stat(f).size_bytes, 5u);
  EXPECT_OK(service_->CloseWrite(other, f, Content(6)));
  EXPECT_FALSE(Stat(f).open_for_write);
  EXPECT_CODE(Code::kInvalid, service_->CommitContent(other, f, Content(7)));
  EXPECT_CODE(Code::kIsDirectory, service_->OpenForWrite(ctx_, kRootInode, {}));
}

TEST_P(SessionTest, VolumesThatCannotBeWrittenAreNot) {
  const InodeId f = MakeFile(kRootInode, "f");
  EXPECT_OK(service_->ReportVolume({volume_, true, true, 1 << 30, 1 << 29, ""}));
  EXPECT_CODE(Code::kReadOnly, service_->OpenForWrite(ctx_, f, {}));
  EXPECT_OK(service_->ReportVolume({volume_, false, false, 0, 0, "gone"}));
  EXPECT_CODE(Code::kUnavailable, service_->OpenForWrite(ctx_, f, {}));
  EXPECT_CODE(Code::kNoSpace,
              service_->Create(ctx_, kRootInode, "g", NewNode{S_IFREG | 0644, 0, 0, ""}));
  EXPECT_OK(service_->Locate(ctx_, f));
}

TEST_P(SessionTest, FilesOfADeadSessionAreRecovered) {
  const SessionId mount = OpenSession("mount");
  const InodeId f = OpenFile(In(mount), "f"), gone = OpenFile(In(mount), "gone");
  EXPECT_OK(service_->Unlink(ctx_, kRootInode, "gone"));
  EXPECT_TRUE(Value(service_->FilesToRecover()).empty()) << "it lives";
  Reopen();
  const auto files = Value(service_->FilesToRecover());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].attr.inode, f);
  EXPECT_TRUE(Stat(f).open_for_write);
  EXPECT_CODE(Code::kInvalid, service_->CommitRecovered(gone, Content(1)));
  EXPECT_OK(service_->CommitRecovered(f, Content(99)));
  EXPECT_EQ(Stat(f).size_bytes, 99u);
  EXPECT_FALSE(Stat(f).open_for_write);
  EXPECT_TRUE(Value(service_->FilesToRecover()).empty());
  EXPECT_EQ(Value(service_->WaitReclaimable(9, std::chrono::milliseconds(0))).size(), 1u);
}

TEST_P(SessionTest, ResumedBeforeRecoveryNothingIsLost) {
  const SessionId mount = OpenSession("mount");
  const InodeId f = OpenFile(In(mount), "f");
  Reopen();
  EXPECT_OK(service_->OpenSession({"", mount, nullptr}));
  EXPECT_TRUE(Value(service_->FilesToRecover()).empty());
  EXPECT_OK(service_->CloseWrite(In(mount), f, Content(3)));
}

TEST_P(SessionTest, GraceKeepsDetachedSessions) {
  options_.session_grace = std::chrono::hours(1);
  const SessionId mount = OpenSession("mount");
  OpenFile(In(mount), "f");
  Reopen();
  EXPECT_TRUE(Value(service_->FilesToRecover()).empty());
  EXPECT_OK(service_->OpenSession({"", mount, nullptr}));
  options_.session_grace = std::chrono::milliseconds(0);
  Reopen();
  EXPECT_EQ(Value(service_->FilesToRecover()).size(), 1u);
  EXPECT_CODE(Code::kNotFound, service_->OpenSession({"", mount, nullptr}));
}

TEST_P(SessionTest, RecoveryAndANewWriterDoNotMix) {
  const SessionId dead = OpenSession("dead"), dead_too = OpenSession("dead too");
  const InodeId f = OpenFile(In(dead), "f");
  EXPECT_OK(service_->OpenForWrite(In(dead_too), f, {}));
  EXPECT_OK(service_->CloseSession(dead));
  EXPECT_OK(service_->CloseSession(dead_too));
  EXPECT_OK(service_->OpenForWrite(ctx_, f, {}));
  EXPECT_EQ(Value(service_->FilesToRecover()).size(), 1u);
  EXPECT_OK(service_->CommitRecovered(f, Content(1)));
  EXPECT_TRUE(Stat(f).open_for_write);
  EXPECT_OK(service_->CloseWrite(ctx_, f, Content(2)));
  EXPECT_FALSE(Stat(f).open_for_write);
}

// The daemon was killed between the commit and its answer; its successor gets the same requests
// again.
TEST_P(SessionTest, RepeatedRequestsAnswerAsBefore) {
  CallContext ctx = In(OpenSession("mount"));
  const NewNode directory{S_IFDIR | 0755, 0, 0, ""}, file{S_IFREG | 0644, 0, 0, ""};
  std::vector<std::function<std::string()>> requests;
  const auto add = [&](auto call) {
    requests.push_back([&, call, number = requests.size() + 1]() -> std::string {
      ctx.request = 2 * number;
      const auto result = call();
      if (!result) return std::string(Describe(result.error().code()));
      using T = std::decay_t<decltype(result)>;
      if constexpr (std::is_same_v<T, Result<Removed>>)
        return std::to_string(result->inode.value) + (result->orphaned ? " orphaned" : "");
      else if constexpr (std::is_same_v<T, Result<Attr>>)
        return std::to_string(result->inode.value);
      else if constexpr (std::is_same_v<T, Result<Location>>)
        return std::to_string(result->attr.inode.value);
      else
        return "done";
    });
  };
  InodeId f;
  add([&] { return service_->MakeNode(ctx, kRootInode, "d", directory); });
  add([&] {
    auto made = service_->Create(ctx, kRootInode, "f", file);
    if (made) f = made->attr.inode;
    return made;
  });
  add([&] { return service_->CloseWrite(ctx, f, Content(1)); });
  add([&] { return service_->Link(ctx, f, kRootInode, "g"); });
  add([&] { return service_->SetXattr(ctx, f, "user.a", "1", 1); });
  add([&] { return service_->RemoveXattr(ctx, f, "user.a"); });
  add([&] { return service_->Unlink(ctx, kRootInode, "g"); });
  add([&] { return service_->Rename(ctx, kRootInode, "f", kRootInode, "h", 0); });
  add([&] { return service_->RemoveDirectory(ctx, kRootInode, "d"); });
  add([&] { return service_->Create(ctx, kRootInode, "", file); });

  for (auto& request : requests) {
    const std::string first = request();
    Reopen();
    EXPECT_EQ(request(), first) << "before the session is resumed";
    EXPECT_OK(service_->OpenSession({"", ctx.session, nullptr}));
    EXPECT_EQ(request(), first);
    EXPECT_OK(service_->OpenSession({"", ctx.session, nullptr}));
    EXPECT_EQ(request(), first) << "resumed in the same process";
  }
  EXPECT_CODE(Code::kNotFound, service_->Lookup(ctx, kRootInode, "f"));
  // The same number for something else is something else.
  ctx.request = 2;
  EXPECT_OK(service_->MakeNode(ctx, kRootInode, "e", directory));
  ctx.request = 0;
  EXPECT_CODE(Code::kExists, service_->MakeNode(ctx, kRootInode, "e", directory));
  EXPECT_OK(service_->CloseSession(ctx.session));
  service_.reset();
  const std::string begin = keys::Make(keys::Family::kRequest);
  EXPECT_OK(OpenEngine()->Scan(begin, keys::EndOf(begin), [](std::string_view, std::string_view) {
    ADD_FAILURE() << "an outcome is left";
    return true;
  }));
}

PXFS_BOTH_ENGINES(SessionTest);

}  // namespace
}  // namespace pxfs::meta
