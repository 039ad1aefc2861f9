// The metadata service called in its own process, as an embedded mount calls it.
#include <linux/fs.h>

#include <vector>

#include "bench/meta/store_fixture.h"

namespace pxfs::bench {
namespace {

using ::benchmark::State;

// Names that no benchmark has used before.
std::string NewName(const State& state, uint64_t number) {
  return "n" + std::to_string(state.thread_index()) + "-" + std::to_string(number);
}

// The next of a directory's files, different for each thread.
class Cursor {
 public:
  explicit Cursor(const State& state) : i_(static_cast<uint64_t>(state.thread_index()) * 3000) {}
  std::string Next() { return "f" + std::to_string(i_++ % Store::kFiles); }

 private:
  uint64_t i_;
};

std::vector<InodeId> Inodes(Store& store) {
  std::vector<InodeId> inodes;
  for (int i = 0; i < Store::kFiles; ++i) {
    const std::string name = "f" + std::to_string(i);
    inodes.push_back(
        Must(store.service().Lookup(store.context(), store.files(), name), "lookup").inode);
  }
  return inodes;
}

void Lookup(State& state) {
  Store& store = Store::Get();
  Cursor cursor(state);
  for (auto _ : state)
    Must(store.service().Lookup(store.context(), store.files(), cursor.Next()), "lookup");
  state.SetItemsProcessed(state.iterations());
}

void LookupMissing(State& state) {
  Store& store = Store::Get();
  uint64_t i = 0;
  for (auto _ : state) {
    const auto found =
        store.service().Lookup(store.context(), store.files(), "missing" + std::to_string(i++));
    if (found) state.SkipWithError("found what is not there");
  }
  state.SetItemsProcessed(state.iterations());
}

void GetAttr(State& state) {
  Store& store = Store::Get();
  const auto inodes = Inodes(store);
  size_t i = 0;
  for (auto _ : state)
    Must(store.service().GetAttr(store.context(), inodes[i++ % inodes.size()]), "getattr");
  state.SetItemsProcessed(state.iterations());
}

void CreateClose(State& state) {
  Store& store = Store::Get();
  const InodeId directory = store.NewDirectory();
  uint64_t i = 0;
  for (auto _ : state) store.CreateFile(directory, NewName(state, i++));
  state.SetItemsProcessed(state.iterations());
}

void OpenWriteClose(State& state) {
  Store& store = Store::Get();
  const InodeId inode = store.CreateFile(store.NewDirectory(), "f");
  for (auto _ : state) {
    const auto location = Must(store.service().OpenForWrite(store.context(), inode, {}), "open");
    meta::ContentState content;
    content.atime = content.mtime = content.ctime = location.attr.mtime;
    Must(store.service().CloseWrite(store.context(), inode, content), "close");
  }
  state.SetItemsProcessed(state.iterations());
}

void Locate(State& state) {
  Store& store = Store::Get();
  const auto inodes = Inodes(store);
  size_t i = 0;
  for (auto _ : state)
    Must(store.service().Locate(store.context(), inodes[i++ % inodes.size()]), "locate");
  state.SetItemsProcessed(state.iterations());
}

void Rename(State& state) {
  Store& store = Store::Get();
  const InodeId directory = store.NewDirectory();
  store.CreateFile(directory, NewName(state, 0));
  uint64_t i = 0;
  for (auto _ : state) {
    Must(store.service().Rename(store.context(), directory, NewName(state, i), directory,
                                NewName(state, i + 1), RENAME_NOREPLACE),
         "rename");
    ++i;
  }
  state.SetItemsProcessed(state.iterations());
}

void Link(State& state) {
  Store& store = Store::Get();
  const InodeId directory = store.NewDirectory();
  InodeId inode;
  uint64_t i = 0;
  for (auto _ : state) {
    if (i % 10'000 == 0) {  // a file takes only so many links
      state.PauseTiming();
      inode = store.CreateFile(directory, "file" + std::to_string(i));
      state.ResumeTiming();
    }
    Must(store.service().Link(store.context(), inode, directory, NewName(state, i++)), "link");
  }
  state.SetItemsProcessed(state.iterations());
}

void Unlink(State& state) {
  constexpr uint64_t kBatch = 1000;
  Store& store = Store::Get();
  const InodeId directory = store.NewDirectory();
  uint64_t i = 0;
  for (auto _ : state) {
    if (i % kBatch == 0) {
      state.PauseTiming();
      store.Reclaim();
      for (uint64_t k = 0; k < kBatch; ++k) store.CreateFile(directory, NewName(state, i + k));
      state.ResumeTiming();
    }
    const auto removed =
        Must(store.service().Unlink(store.context(), directory, NewName(state, i++)), "unlink");
    if (removed.orphaned)
      Must(store.service().Forget(store.context().session, {&removed.inode, 1}), "forget");
  }
  state.SetItemsProcessed(state.iterations());
}

void Chmod(State& state) {
  Store& store = Store::Get();
  const auto inodes = Inodes(store);
  size_t i = static_cast<size_t>(state.thread_index()) * 3000;
  meta::AttrChange change;
  for (auto _ : state) {
    change.mode = i % 2 ? 0644 : 0600;
    Must(store.service().SetAttr(store.context(), inodes[i++ % inodes.size()], change), "setattr");
  }
  state.SetItemsProcessed(state.iterations());
}

void SetXattr(State& state) {
  Store& store = Store::Get();
  const auto inodes = Inodes(store);
  size_t i = static_cast<size_t>(state.thread_index()) * 3000;
  for (auto _ : state)
    Must(store.service().SetXattr(store.context(), inodes[i++ % inodes.size()], "user.bench",
                                  "thirty-two bytes of a label, say", 0),
         "setxattr");
  state.SetItemsProcessed(state.iterations());
}

void GetXattr(State& state) {
  Store& store = Store::Get();
  const InodeId inode = store.CreateFile(store.NewDirectory(), "f");
  Must(store.service().SetXattr(store.context(), inode, "user.bench", "value", 0), "setxattr");
  for (auto _ : state)
    Must(store.service().GetXattr(store.context(), inode, "user.bench"), "getxattr");
  state.SetItemsProcessed(state.iterations());
}

// Items are entries.
void ReadDirectory(State& state) {
  Store& store = Store::Get();
  int64_t entries = 0;
  for (auto _ : state) {
    uint64_t cookie = 0;
    while (true) {
      const auto page =
          Must(store.service().ReadDirectory(store.context(), store.listing(), cookie, 128, true),
               "readdir");
      entries += static_cast<int64_t>(page.entries.size());
      if (page.end || page.entries.empty()) break;
      cookie = page.entries.back().cookie;
    }
  }
  state.SetItemsProcessed(entries);
}

BENCHMARK(Lookup)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(LookupMissing)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(GetAttr)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(Locate)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(ReadDirectory)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(CreateClose)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(OpenWriteClose)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(Rename)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(Link)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(Unlink)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(Chmod)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(SetXattr)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(GetXattr)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace pxfs::bench
