// Random operations of every kind on one file, each compared with what memory says the file must
// hold. $PXFS_SEED repeats a run; the operations that led to a difference are shown.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>

#include "base/unique_fd.h"
#include "tests/support/long_run.h"
#include "tests/support/mounted_cluster.h"
#include "tests/support/seed.h"

namespace pxfs::test {
namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kLargest = 96 * kBlock;
constexpr size_t kRemembered = 12;

// One file and its oracle. Every step returns the empty string, or what is wrong.
class File {
 public:
  // shifts: the file system can insert and collapse ranges (Linux does not ask one behind FUSE).
  File(std::string path, uint64_t seed, bool shifts)
      : path_(std::move(path)), shifts_(shifts), random_(seed) {
    direct_buffer_.reset(static_cast<char*>(std::aligned_alloc(kBlock, kLargest)));
  }

  std::string Open() {
    fd_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    append_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    direct_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    return fd_ && append_ && direct_ ? "" : Failed("open");
  }
  std::string Step();
  // The whole file, as a new reader sees it.
  std::string Check();
  // What was done last, the latest at the end.
  std::string History() const {
    std::string all;
    for (const std::string& line : history_) all += "\n  " + line;
    return all;
  }

 private:
  size_t Below(size_t limit) {
    return limit == 0 ? 0 : std::uniform_int_distribution<size_t>(0, limit - 1)(random_);
  }
  bool Chance(size_t one_in) { return Below(one_in) == 0; }
  std::string Failed(const std::string& what) { return what + ": " + std::strerror(errno); }
  void Did(const std::string& what, size_t a = 0, size_t b = 0, size_t c = 0) {
    history_.push_back(what + " " + std::to_string(a) + " " + std::to_string(b) +
                       (c ? " " + std::to_string(c) : ""));
    if (history_.size() > kRemembered) history_.pop_front();
  }
  std::string Fresh(size_t size) {
    std::string data(size, '\0');
    const char letter = static_cast<char>('A' + Below(58));
    for (size_t i = 0; i < size; ++i) data[i] = static_cast<char>(letter + (i & 15));
    return data;
  }
  void Put(size_t offset, const std::string& data) {
    if (content_.size() < offset + data.size()) content_.resize(offset + data.size());
    content_.replace(offset, data.size(), data);
  }
  std::string Expect(const char* what, long got, size_t wanted) {
    if (got == static_cast<long>(wanted)) return "";
    return std::string(what) + " returned " + std::to_string(got) +
           (got < 0 ? std::string(" (") + std::strerror(errno) + ")" : "") + ", not " +
           std::to_string(wanted);
  }
  std::string Same(const char* what, size_t offset, const char* data, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      if (data[i] != content_[offset + i])
        return std::string(what) + ": byte " + std::to_string(offset + i) + " is " +
               std::to_string(data[i]) + ", not " + std::to_string(content_[offset + i]);
    }
    return "";
  }

  std::string Write();
  std::string Append();
  std::string DirectWrite();
  std::string Read(bool direct);
  std::string Map(bool write);
  std::string Truncate();
  std::string Fallocate();
  std::string Shift(bool insert);
  std::string Copy();
  std::string Seek();
  std::string Settle();

  const std::string path_;
  const bool shifts_;
  std::mt19937_64 random_;
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> direct_buffer_;
  UniqueFd fd_, append_, direct_;
  std::string content_;
  std::deque<std::string> history_;
};

std::string File::Write() {
  const size_t offset = Below(kLargest - 1),
               size = 1 + Below(std::min(kLargest - offset, 3 * 16 * kBlock));
  const std::string data = Fresh(size);
  Did("write", offset, size);
  const ssize_t n = ::pwrite(fd_.get(), data.data(), size, static_cast<off_t>(offset));
  Put(offset, data);
  return Expect("write", n, size);
}

std::string File::Append() {
  const size_t room = kLargest - content_.size();
  if (room == 0) return "";
  const std::string data = Fresh(1 + Below(std::min(room, 2 * kBlock)));
  Did("append", content_.size(), data.size());
  const ssize_t n = ::write(append_.get(), data.data(), data.size());
  Put(content_.size(), data);
  return Expect("append", n, data.size());
}

std::string File::DirectWrite() {
  const size_t offset = Below(kLargest / kBlock) * kBlock;
  const size_t size = (1 + Below(std::min<size_t>((kLargest - offset) / kBlock, 16))) * kBlock;
  const std::string data = Fresh(size);
  std::memcpy(direct_buffer_.get(), data.data(), size);
  Did("direct write", offset, size);
  const ssize_t n = ::pwrite(direct_.get(), direct_buffer_.get(), size, static_cast<off_t>(offset));
  Put(offset, data);
  return Expect("direct write", n, size);
}

std::string File::Read(bool direct) {
  size_t offset = Below(content_.size() + kBlock), size = 1 + Below(32 * kBlock);
  if (direct) {
    offset -= offset % kBlock;
    size = (size / kBlock + 1) * kBlock;
  }
  Did(direct ? "direct read" : "read", offset, size);
  const ssize_t n = ::pread(direct ? direct_.get() : fd_.get(), direct_buffer_.get(), size,
                            static_cast<off_t>(offset));
  const size_t wanted = offset < content_.size() ? std::min(size, content_.size() - offset) : 0;
  if (auto wrong = Expect("read", n, wanted); !wrong.empty()) return wrong;
  return Same("read", offset, direct_buffer_.get(), wanted);
}

std::string File::Map(bool write) {
  if (content_.empty()) return "";
  const size_t offset = Below(content_.size()),
               size = 1 + Below(std::min(content_.size() - offset, 16 * kBlock));
  const size_t start = offset - offset % kBlock;
  Did(write ? "map write" : "map read", offset, size);
  void* map = ::mmap(nullptr, offset + size - start, PROT_READ | (write ? PROT_WRITE : 0),
                     MAP_SHARED, fd_.get(), static_cast<off_t>(start));
  if (map == MAP_FAILED) return Failed("mmap");
  char* at = static_cast<char*>(map) + (offset - start);
  std::string wrong;
  if (write) {
    const std::string data = Fresh(size);
    std::memcpy(at, data.data(), size);
    Put(offset, data);
    if (Chance(2) && ::msync(map, offset + size - start, MS_SYNC) != 0) wrong = Failed("msync");
  } else {
    wrong = Same("map", offset, at, size);
  }
  ::munmap(map, offset + size - start);
  return wrong;
}

std::string File::Truncate() {
  const size_t size = Below(kLargest);
  Did("truncate", content_.size(), size);
  const auto to = static_cast<off_t>(size);
  if ((Chance(2) ? ::truncate(path_.c_str(), to) : ::ftruncate(fd_.get(), to)) != 0)
    return Failed("truncate");
  content_.resize(size);
  return "";
}

std::string File::Fallocate() {
  constexpr int kModes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
  const int mode = kModes[Below(std::size(kModes))];
  const size_t offset = Below(kLargest - 1), size = 1 + Below(kLargest - offset);
  Did("fallocate", static_cast<size_t>(mode), offset, size);
  if (::fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0)
    return Failed("fallocate");
  const size_t end = offset + size;
  if (!(mode & FALLOC_FL_KEEP_SIZE) && content_.size() < end) content_.resize(end);
  if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0 && offset < content_.size())
    std::fill(content_.begin() + static_cast<long>(offset),
              content_.begin() + static_cast<long>(std::min(end, content_.size())), '\0');
  return "";
}

std::string File::Shift(bool insert) {
  const size_t blocks = content_.size() / kBlock;
  if (blocks < 3) return "";
  const size_t offset = Below(blocks - 1) * kBlock;
  size_t size = (1 + Below(8)) * kBlock;
  if (insert) {
    if (content_.size() + size > kLargest) return "";
  } else if (offset + size >= content_.size()) {
    return "";
  }
  Did(insert ? "insert" : "collapse", offset, size);
  if (::fallocate(fd_.get(), insert ? FALLOC_FL_INSERT_RANGE : FALLOC_FL_COLLAPSE_RANGE,
                  static_cast<off_t>(offset), static_cast<off_t>(size)) != 0)
    return errno == EOPNOTSUPP && !shifts_ ? "" : Failed("fallocate");
  if (insert)
    content_.insert(offset, size, '\0');
  else
    content_.erase(offset, size);
  return "";
}

std::string File::Copy() {
  if (content_.empty()) return "";
  const size_t from = Below(content_.size());
  const size_t size = 1 + Below(std::min(content_.size() - from, 16 * kBlock));
  const size_t to = Below(kLargest - size);
  if (from < to + size && to < from + size) return "";
  Did("copy", from, to, size);
  const std::string data = content_.substr(from, size);
  for (size_t done = 0; done < size;) {
    off_t in = static_cast<off_t>(from + done), out = static_cast<off_t>(to + done);
    const ssize_t n = ::copy_file_range(fd_.get(), &in, fd_.get(), &out, size - done, 0);
    if (n <= 0) return Expect("copy_file_range", n, size - done);
    done += static_cast<size_t>(n);
  }
  Put(to, data);
  return "";
}

std::string File::Seek() {
  if (content_.empty()) return "";
  const size_t offset = Below(content_.size());
  Did("seek data", offset);
  off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0 && errno != ENXIO) return Failed("lseek");
  if (data < 0) data = static_cast<off_t>(content_.size());
  for (size_t i = offset; i < static_cast<size_t>(data); ++i)
    if (content_[i] != 0) return "SEEK_DATA skipped byte " + std::to_string(i);
  return "";
}

std::string File::Settle() {
  switch (Below(4)) {
    case 0:
      Did("fsync");
      return ::fsync(fd_.get()) == 0 ? "" : Failed("fsync");
    case 1:
      Did("fdatasync");
      return ::fdatasync(direct_.get()) == 0 ? "" : Failed("fdatasync");
    case 2:
      Did("reopen");
      fd_.reset();
      append_.reset();
      direct_.reset();
      return Open();
    default:
      Did("drop pages");
      return ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED) == 0 ? "" : Failed("fadvise");
  }
}

std::string File::Check() {
  struct stat st;
  if (::fstat(fd_.get(), &st) != 0) return Failed("fstat");
  if (auto wrong = Expect("size", st.st_size, content_.size()); !wrong.empty()) return wrong;
  const auto found = ReadFile(path_);
  if (!found) return found.error().message();
  if (auto wrong = Expect("length", static_cast<long>(found->size()), content_.size());
      !wrong.empty())
    return wrong;
  return Same("content", 0, found->data(), found->size());
}

std::string File::Step() {
  switch (Below(16)) {
    case 0:
    case 1:
      return Write();
    case 2:
      return Append();
    case 3:
      return DirectWrite();
    case 4:
    case 5:
      return Read(false);
    case 6:
      return Read(true);
    case 7:
      return Map(false);
    case 8:
    case 9:
      return Map(true);
    case 10:
      return Truncate();
    case 11:
      return Fallocate();
    case 12:
      return Shift(Chance(2));
    case 13:
      return Copy();
    case 14:
      return Seek();
    default:
      return Settle();
  }
}

class RandomIo : public testing::TestWithParam<const char*> {};

TEST_P(RandomIo, TheFileIsWhatMemorySays) {
  const uint64_t seed = SeedOfRun();
  const int steps = LongRun() ? 200'000 : 5'000;
  const bool native = std::string(GetParam()) == "native";
  auto mounted = MountedCluster::Start(
      {.options = native ? "" : GetParam(), .cluster = {.volumes = 1, .ext4_image = true}});
  ASSERT_TRUE(mounted) << mounted.error().message();
  const std::string directory = native ? (*mounted)->cluster().native() : (*mounted)->path();
  {
    File file(directory + "/file", seed, native);
    std::string wrong = file.Open();
    for (int step = 0; step < steps && wrong.empty(); ++step) {
      wrong = file.Step();
      if (wrong.empty() && step % 50 == 0) wrong = file.Check();
      EXPECT_EQ(wrong, "") << "step " << step << " after:" << file.History();
    }
    if (wrong.empty()) {
      EXPECT_EQ(file.Check(), "");
    }
  }
  EXPECT_STATUS((*mounted)->Stop());
}

// `native`: that the oracle is right.
INSTANTIATE_TEST_SUITE_P(Routes, RandomIo,
                         testing::Values("native", "passthrough=on", "passthrough=off"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '=');
                           return name;
                         });

}  // namespace
}  // namespace pxfs::test
