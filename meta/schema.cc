#include "meta/schema.h"

#include <unistd.h>

#include <random>

#include "meta/keys.h"

namespace pxfs::meta {
namespace {

const char kSchemaCounter[] = "schema";

InodeRecord RootDirectory(Timestamp now) {
  InodeRecord root;
  root.attr.inode = kRootInode;
  root.attr.mode = S_IFDIR | 0755;
  root.attr.uid = ::geteuid();
  root.attr.gid = ::getegid();
  root.attr.nlink = 2;
  root.attr.size_bytes = 4096;
  root.attr.blocks = 8;
  root.attr.atime = root.attr.mtime = root.attr.ctime = root.attr.btime = now;
  root.parent = kRootInode;
  return root;
}

}  // namespace

Status FormatStore(KvEngine& engine, Timestamp now) {
  bool empty = true;
  PXFS_TRY(
      engine.Scan("", "\xff", [&](std::string_view, std::string_view) { return empty = false; }));
  if (!empty) return Fail(Code::kExists, "there is a metadata store already");
  std::random_device random;
  const SchemaRecord schema{kSchemaVersion, (uint64_t{random()} << 32) | random()};
  const std::vector<KvWrite> writes = {
      {keys::Counter(kSchemaCounter), Encode(schema)},
      {keys::Inode(kRootInode), Encode(RootDirectory(now))},
  };
  PXFS_TRY(engine.Commit({}, writes, [] {}));
  return engine.Sync();
}

Result<SchemaRecord> OpenSchema(const KvEngine& engine) {
  const std::string key = keys::Counter(kSchemaCounter);
  std::string value;
  PXFS_ASSIGN(const bool found, engine.Get(key, &value));
  if (!found)
    return Fail(Code::kNotFound, "the metadata store has no schema: it was never formatted");
  PXFS_ASSIGN(SchemaRecord schema, Decode<SchemaRecord>(key, value));
  // Version 1 is the first, so that nothing older needs an upgrade yet; a later version upgrades
  // here, in one commit a step.
  if (schema.version > kSchemaVersion)
    return Fail(Code::kInvalid, "the metadata store has schema " + std::to_string(schema.version) +
                                    ", this program knows up to " + std::to_string(kSchemaVersion) +
                                    ": use the newer pxfs that wrote it");
  return schema;
}

}  // namespace pxfs::meta
