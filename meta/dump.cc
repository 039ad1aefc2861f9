#include "meta/dump.h"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/unique_fd.h"
#include "meta/counters.h"
#include "meta/keys.h"
#include "meta/leveldb_engine.h"
#include "meta/records.h"
#include "meta/schema.h"
#include "meta/store_lock.h"

namespace pxfs::meta {
namespace {

constexpr std::string_view kMagic = "PXFSDUMP";
constexpr uint64_t kVersion = 1;
constexpr size_t kBlockBytes = 1 << 20;           // a block is closed once it is this long
constexpr uint64_t kMaxBlockBytes = 64ull << 20;  // longer than any that holds one record
constexpr size_t kBlockHead = 3 * 8;              // length and hash

// How far the next inode number is moved on by a load: more than are made between two backups.
constexpr uint64_t kSkippedNumbers = uint64_t{1} << 32;

std::string BlockHead(std::string_view payload) {
  const Hash128 hash = Hash(payload);
  std::string head;
  AppendBigEndian64(head, payload.size());
  AppendBigEndian64(head, hash.high);
  AppendBigEndian64(head, hash.low);
  return head;
}

class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) {}

  Status Add(std::string_view key, std::string_view value) {
    AppendBigEndian64(block_, key.size());
    block_ += key;
    AppendBigEndian64(block_, value.size());
    block_ += value;
    ++records_;
    return block_.size() < kBlockBytes ? Status{} : Flush();
  }
  // Ends the block that is being filled.
  Status Flush() {
    if (block_.empty()) return {};
    PXFS_TRY(Block(block_));
    block_.clear();
    return {};
  }
  Status Block(std::string_view payload) {
    PXFS_TRY(WriteAll(fd_, BlockHead(payload)));
    return WriteAll(fd_, payload);
  }
  // A block without content, and the number of records: what is cut short lacks it.
  Status End() {
    PXFS_TRY(Flush());
    PXFS_TRY(Block({}));
    std::string trailer;
    AppendBigEndian64(trailer, records_);
    return WriteAll(fd_, trailer);
  }

 private:
  const int fd_;
  std::string block_;
  uint64_t records_ = 0;
};

std::string HeaderText(const DumpTarget& target, const SchemaRecord& schema) {
  return nlohmann::json{{"cluster", target.cluster_uuid},
                        {"name", target.cluster_name},
                        {"schema", schema.version},
                        {"made", static_cast<int64_t>(::time(nullptr))}}
      .dump();
}

Status WriteTo(int fd, const KvEngine& engine, const std::string& header) {
  std::string start(kMagic);
  AppendBigEndian64(start, kVersion);
  PXFS_TRY(WriteAll(fd, start));
  Writer writer(fd);
  PXFS_TRY(writer.Block(header));
  Status added;
  PXFS_TRY(engine.Scan("", "\xff", [&](std::string_view key, std::string_view value) {
    added = writer.Add(key, value);
    return added.has_value();
  }));
  PXFS_TRY(std::move(added));
  return writer.End();
}

class Reader {
 public:
  static Result<Reader> Open(const std::string& file) {
    PXFS_ASSIGN(UniqueFd fd, OpenAt(AT_FDCWD, file, O_RDONLY));
    return Reader(file, std::move(fd));
  }

  Result<DumpSummary> Run(const DumpVisitor& visit) {
    PXFS_TRY(ReadStart());
    PXFS_ASSIGN(DumpSummary summary, ReadHeader());
    for (;;) {
      PXFS_ASSIGN(const std::string block, ReadBlock());
      if (block.empty()) break;
      PXFS_TRY(ReadRecords(block, visit, summary.records));
    }
    std::string trailer;
    PXFS_TRY(Read(8, &trailer));
    if (ReadBigEndian64(trailer) != summary.records) return Fail(Damaged("records are missing"));
    return summary;
  }

 private:
  Reader(std::string file, UniqueFd fd) : file_(std::move(file)), fd_(std::move(fd)) {}

  Error Damaged(const std::string& what) const {
    return Error(Code::kCorruption, file_ + ": damaged at byte " + std::to_string(at_) + ": " +
                                        what + "; use another dump");
  }

  Status Read(size_t size, std::string* out) {
    out->resize(size);
    for (size_t done = 0; done < size;) {
      const ssize_t n = ::read(fd_.get(), out->data() + done, size - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FailErrno(errno, file_);
      if (n == 0) return Fail(Damaged("it ends too early"));
      done += static_cast<size_t>(n);
    }
    at_ += size;
    return {};
  }

  Status ReadStart() {
    std::string start;
    const Status read = Read(kMagic.size() + 8, &start);
    if (!read && !(read.error() == Code::kCorruption)) return read;
    if (!read || !start.starts_with(kMagic))
      return Fail(Code::kInvalid, file_ + ": not a dump of pxfs");
    const uint64_t version = ReadBigEndian64(std::string_view(start).substr(kMagic.size()));
    if (version != kVersion)
      return Fail(Code::kInvalid, file_ + ": a dump of version " + std::to_string(version) +
                                      ", this program knows version " + std::to_string(kVersion) +
                                      ": use the newer pxfs that wrote it");
    return {};
  }

  Result<std::string> ReadBlock() {
    std::string head, payload;
    PXFS_TRY(Read(kBlockHead, &head));
    const uint64_t size = ReadBigEndian64(head);
    if (size > kMaxBlockBytes) return Fail(Damaged("a block has no sensible length"));
    PXFS_TRY(Read(size, &payload));
    if (BlockHead(payload) != head) return Fail(Damaged("a block's checksum is wrong"));
    return payload;
  }

  Result<DumpSummary> ReadHeader() {
    PXFS_ASSIGN(const std::string text, ReadBlock());
    const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return Fail(Damaged("no header"));
    const auto cluster = json.find("cluster"), name = json.find("name"),
               schema = json.find("schema"), made = json.find("made");
    const auto missing = json.end();
    if (cluster == missing || !cluster->is_string() || name == missing || !name->is_string() ||
        schema == missing || !schema->is_number_unsigned() || made == missing ||
        !made->is_number_integer())
      return Fail(Damaged("an incomplete header"));
    const DumpSummary summary{*cluster, *name, *schema, *made, 0};
    if (summary.schema > kSchemaVersion)
      return Fail(Code::kInvalid, file_ + ": a store of schema " + std::to_string(summary.schema) +
                                      ", this program knows up to " +
                                      std::to_string(kSchemaVersion) +
                                      ": use the newer pxfs that wrote it");
    return summary;
  }

  Status ReadRecords(std::string_view block, const DumpVisitor& visit, uint64_t& count) {
    while (!block.empty()) {
      std::string_view parts[2];
      for (std::string_view& part : parts) {
        if (block.size() < 8) return Fail(Damaged("a record is cut short"));
        const uint64_t size = ReadBigEndian64(block);
        block.remove_prefix(8);
        if (block.size() < size) return Fail(Damaged("a record is cut short"));
        part = block.substr(0, size);
        block.remove_prefix(size);
      }
      ++count;
      if (visit) PXFS_TRY(visit(parts[0], parts[1]));
    }
    return {};
  }

  std::string file_;
  UniqueFd fd_;
  uint64_t at_ = 0;
};

// Fills an engine from a dump, some records at a time.
class Loader {
 public:
  explicit Loader(KvEngine& engine) : engine_(engine) {}

  Status Add(std::string_view key, std::string_view value) {
    static const std::string next_inode = keys::Counter(kNextInode);
    std::string changed(value);
    if (key == next_inode) {
      PXFS_ASSIGN(const uint64_t next, DecodeNumber(key, value));
      changed = EncodeNumber(next + kSkippedNumbers);
      // Files made after the dump are unknown to it; their objects may be all that is left of them.
      writes_.push_back({keys::Counter(kSweepFloor), changed});
    }
    bytes_ += key.size() + changed.size();
    writes_.push_back({std::string(key), std::move(changed)});
    return bytes_ < kBlockBytes ? Status{} : Flush();
  }
  Status Flush() {
    PXFS_TRY(engine_.Commit({}, writes_, [] {}));
    writes_.clear();
    bytes_ = 0;
    return {};
  }

 private:
  KvEngine& engine_;
  std::vector<KvWrite> writes_;
  size_t bytes_ = 0;
};

}  // namespace

Status WriteDump(const KvEngine& engine, const DumpTarget& target) {
  PXFS_ASSIGN(const SchemaRecord schema, OpenSchema(engine));
  const std::string header = HeaderText(target, schema);
  return WriteFileAtomically(
      target.file, [&](int fd) { return WriteTo(fd, engine, header); }, 0600);
}

Result<DumpSummary> ReadDump(const std::string& file, const DumpVisitor& visit) {
  PXFS_ASSIGN(Reader reader, Reader::Open(file));
  return reader.Run(visit);
}

Result<DumpSummary> LoadDump(const std::string& file, const std::string& directory) {
  PXFS_TRY(MakeDirectories(directory, 0700));
  PXFS_ASSIGN(const UniqueFd lock, LockStore(directory + "/lock", {}));
  PXFS_ASSIGN(const auto engine, OpenLevelDb(directory + "/leveldb", /*create=*/true));
  bool empty = true;
  PXFS_TRY(
      engine->Scan("", "\xff", [&](std::string_view, std::string_view) { return empty = false; }));
  if (!empty) return Fail(Code::kExists, directory + ": there is a metadata store already");
  Loader loader(*engine);
  PXFS_ASSIGN(const DumpSummary summary,
              ReadDump(file, [&](std::string_view key, std::string_view value) {
                return loader.Add(key, value);
              }));
  PXFS_TRY(loader.Flush());
  PXFS_TRY(OpenSchema(*engine));
  PXFS_TRY(engine->Sync());
  return summary;
}

}  // namespace pxfs::meta
