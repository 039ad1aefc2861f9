// The operations of the crash workload, and the model of what they lead to.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "base/result.h"

namespace pxfs::test {

enum class OperationKind : char {
  kCreate = 'c',      // an empty file
  kAppend = 'a',      // `number` steers size and bytes
  kAppendHeld = 'h',  // the same through a descriptor that stays open
  kTruncate = 't',    // to `number` bytes
  kUnlink = 'u',
  kMkdir = 'm',
  kRmdir = 'r',
  kRename = 'n',  // onto nothing or onto a file
  kLink = 'l',
  kSymlink = 's',   // `number` is the target
  kChmod = 'p',     // to mode `number`
  kSetXattr = 'x',  // user.crash = `number`
};

struct Operation {
  OperationKind kind = OperationKind::kCreate;
  std::string path, to;  // relative to the worker's directory; never empty, without blanks
  uint64_t number = 0;

  std::string Line() const;  // one line, without its end
  static Result<Operation> Parse(const std::string& line);
};

// What a kAppend or kAppendHeld with this number writes.
std::string AppendedBytes(uint64_t number);

struct ModelInode {
  char type = 'f';  // f file, d directory, s symlink
  uint32_t mode = 0;
  std::string content;  // of a file, or the target of a symlink
  std::string xattr;    // user.crash; empty: not set
  friend bool operator==(const ModelInode&, const ModelInode&) = default;
};

// The tree below one worker's directory. Names of one inode share its number.
class Model {
 public:
  // What `operation` does when it succeeds; it must be possible here.
  void Apply(const Operation& operation);
  // What `operation` does when a kill interrupts it after it has begun to have an effect, as far as
  // `found` shows: all of it, but a write may have been cut short.
  void ApplyInterrupted(const Operation& operation, const Model& found);
  // An operation that will succeed on this tree.
  Operation Choose(std::mt19937& random) const;

  // One line per name, in order, that says all about it; two trees are the same when these are.
  std::string Text() const;

  // Reads the tree below a directory.
  static Result<Model> Read(const std::string& directory);

 private:
  bool Has(const std::string& path) const { return names_.contains(path); }
  const ModelInode& At(const std::string& path) const { return inodes_.at(names_.at(path)); }
  bool IsEmptyDirectory(const std::string& path) const;

  std::map<std::string, int> names_;  // path -> inode
  std::map<int, ModelInode> inodes_;
  int next_inode_ = 1;
};

}  // namespace pxfs::test
