// fuzz_seeds DIRECTORY: what the fuzz targets begin with, a directory for each.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "meta/dump.h"
#include "meta/memory_engine.h"
#include "meta/posix_acl.h"
#include "meta/records.h"
#include "meta/remote/message.h"
#include "meta/schema.h"
#include "rpc/frame.h"

namespace {

using namespace pxfs;
using namespace pxfs::meta;

class Seeds {
 public:
  explicit Seeds(std::filesystem::path directory) : directory_(std::move(directory)) {}
  void Add(const std::string& target, std::string_view bytes) {
    std::filesystem::create_directories(directory_ / target);
    std::ofstream out(directory_ / target / std::to_string(++number_), std::ios::binary);
    out << bytes;
    out.close();
    if (!out) failed_ = true;
  }
  // `choice` is the byte that the target takes first.
  void Add(const std::string& target, int choice, std::string_view bytes) {
    Add(target, std::string(1, static_cast<char>(choice)) + std::string(bytes));
  }
  bool failed() const { return failed_; }

 private:
  const std::filesystem::path directory_;
  int number_ = 0;
  bool failed_ = false;
};

InodeRecord Inode() {
  InodeRecord record;
  record.attr.inode = InodeId(77);
  record.attr.mode = S_IFREG | 0644;
  record.attr.nlink = 2;
  record.attr.size_bytes = 12345;
  record.attr.mtime = {1'700'000'000, 999'999'999};
  record.attr.generation = 3;
  record.parent = kRootInode;
  record.name = "name";
  Replica replica;
  replica.volume = VolumeId(2);
  replica.generation = 3;
  replica.primary = replica.materialized = true;
  replica.checksum = Hash128{1, 2};
  record.replicas = {replica, replica};
  return record;
}

void AddRecords(Seeds& seeds) {
  const InodeRecord inode = Inode();
  seeds.Add("record", 0, Encode(inode));
  seeds.Add("record", 1, Encode(EntryRecord{"name", InodeId(77), S_IFREG, true}));
  seeds.Add("record", 2, Encode(OrphanRecord{{{SessionId(3), true}}, true}));
  seeds.Add("record", 3, Encode(ReservationRecord{false, VolumeId(2), 1}));
  seeds.Add("record", 4, Encode(ReclaimRecord{InodeId(77), inode.replicas, true}));
  seeds.Add("record", 5, Encode(SessionRecord{"mount /data", true}));
  seeds.Add("record", 6, Encode(SchemaRecord{1, 42}));
  seeds.Add("record", 7, Encode(TotalsRecord{5, {{VolumeId(2), 3, 4}}}));
  seeds.Add("record", 8, Encode(RequestRecord{9, InodeId(77), false, 8}));
  VolumeInfo volume;
  volume.name = "v1";
  volume.path = "/disk/v1";
  volume.labels = {{"tier", "ssd"}};
  seeds.Add("record", 9, Encode(volume));
  seeds.Add("record", 10, Encode(*ParsePolicy("placement=spread copies=2")));
  seeds.Add("record", 11, "I\0\0\0\0\0\0\0\x01");
}

void AddMessages(Seeds& seeds) {
  remote::OnArena<remote::pb::MakeRequest> make;
  CallContext context;
  context.session = SessionId(3);
  context.groups = {1, 2};
  remote::Encode(*make, context, kRootInode, "name", NewNode{S_IFDIR | 0755, 022, 0, ""});
  for (int method = 0; method < 128; ++method) seeds.Add("message", method << 1, *make.Serialize());
  remote::OnArena<remote::pb::Attr> attr;
  remote::Encode(*attr, Inode().attr);
  seeds.Add("message", 1, *attr.Serialize());
}

void AddRest(Seeds& seeds, const std::string& scratch) {
  const auto hello = rpc::Encode(rpc::Hello{});
  seeds.Add("frame", {hello.data(), hello.size()});
  const auto header = rpc::Encode(rpc::FrameHeader{100, rpc::FrameKind::kReply, 1, 2, 3, 4, 5});
  seeds.Add("frame", {header.data(), header.size()});

  seeds.Add("acl", SerializeAcl({{AclEntry::kUserObj, 6, 0},
                                 {AclEntry::kUser, 4, 1000},
                                 {AclEntry::kGroupObj, 4, 0},
                                 {AclEntry::kMask, 4, 0},
                                 {AclEntry::kOther, 0, 0}}));

  MemoryEngine engine(std::make_shared<MemoryDisk>());
  if (FormatStore(engine, {1, 2}) && WriteDump(engine, {scratch, "uuid", "name"})) {
    std::ifstream in(scratch, std::ios::binary);
    seeds.Add("dump", 0, std::string(std::istreambuf_iterator<char>(in), {}));
  }
  seeds.Add("dump", 1, R"({"cluster":"u","made":1,"name":"n","schema":1})");
  seeds.Add("dump", 5, std::string("\0\0\0\0\0\0\0\1k\0\0\0\0\0\0\0\1v", 18));

  seeds.Add("spec", 0,
            "command: [echo, hello]\ninput: [/a, /b]\nenv: {K: V}\ncpus: 2\nmemory: 1G\n");
  seeds.Add("spec", 0, R"({"command": "true", "split": "volumes", "time": "1h"})");
  seeds.Add("spec", 1, "A=B\n# comment\n\nC=D=E\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  Seeds seeds(argv[1]);
  AddRecords(seeds);
  AddMessages(seeds);
  std::filesystem::create_directories(argv[1]);
  AddRest(seeds, std::string(argv[1]) + "/dump.tmp");
  std::filesystem::remove(std::string(argv[1]) + "/dump.tmp");
  return seeds.failed() ? 1 : 0;
}
