#include "tests/crash/operation.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "base/hash.h"

namespace pxfs::test {
namespace {

// Few names, so that operations meet; files and directories have different ones.
constexpr int kDirectories = 5, kFiles = 12;
constexpr size_t kMaxContent = 60'000;

bool IsBelow(const std::string& path, const std::string& directory) {
  return path.starts_with(directory + "/");
}

}  // namespace

std::string Operation::Line() const {
  return std::string(1, static_cast<char>(kind)) + " " + path + " " + (to.empty() ? "-" : to) +
         " " + std::to_string(number);
}

Result<Operation> Operation::Parse(const std::string& line) {
  std::istringstream in(line);
  char kind = 0;
  Operation operation;
  if (!(in >> kind >> operation.path >> operation.to >> operation.number))
    return Fail(Code::kCorruption, "no operation: " + line);
  if (operation.to == "-") operation.to.clear();
  operation.kind = static_cast<OperationKind>(kind);
  return operation;
}

std::string AppendedBytes(uint64_t number) {
  std::string bytes(1 + number % 9'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>('!' + (number + i * 7) % 90);
  return bytes;
}

void Model::Apply(const Operation& operation) {
  const auto add = [&](ModelInode inode) {
    names_[operation.path] = next_inode_;
    inodes_[next_inode_++] = std::move(inode);
  };
  switch (operation.kind) {
    case OperationKind::kCreate:
      return add({'f', 0644, "", ""});
    case OperationKind::kMkdir:
      return add({'d', 0755, "", ""});
    case OperationKind::kSymlink:
      return add({'s', 0777, std::to_string(operation.number), ""});
    case OperationKind::kAppend:
    case OperationKind::kAppendHeld:
      inodes_[names_[operation.path]].content += AppendedBytes(operation.number);
      return;
    case OperationKind::kTruncate:
      inodes_[names_[operation.path]].content.resize(operation.number, '\0');
      return;
    case OperationKind::kUnlink:
    case OperationKind::kRmdir:
      names_.erase(operation.path);
      return;
    case OperationKind::kLink:
      names_[operation.to] = names_[operation.path];
      return;
    case OperationKind::kChmod:
      inodes_[names_[operation.path]].mode = static_cast<uint32_t>(operation.number);
      return;
    case OperationKind::kSetXattr:
      inodes_[names_[operation.path]].xattr = std::to_string(operation.number);
      return;
    case OperationKind::kRename:
      break;
  }
  if (Has(operation.to) && names_[operation.to] == names_[operation.path])
    return;  // one inode already
  std::map<std::string, int> moved;
  for (const auto& [path, inode] : names_) {
    if (path == operation.path) {
      moved[operation.to] = inode;
    } else if (IsBelow(path, operation.path)) {
      moved[operation.to + path.substr(operation.path.size())] = inode;
    } else if (path != operation.to) {
      moved[path] = inode;
    }
  }
  names_ = std::move(moved);
}

void Model::ApplyInterrupted(const Operation& operation, const Model& found) {
  const bool appends =
      operation.kind == OperationKind::kAppend || operation.kind == OperationKind::kAppendHeld;
  const size_t before = appends ? At(operation.path).content.size() : 0;
  Apply(operation);
  if (!appends || !found.Has(operation.path)) return;
  std::string& content = inodes_[names_[operation.path]].content;
  const size_t size = found.At(operation.path).content.size();
  if (size > before && size < content.size()) content.resize(size);
}

bool Model::IsEmptyDirectory(const std::string& path) const {
  return std::none_of(names_.begin(), names_.end(),
                      [&](const auto& entry) { return IsBelow(entry.first, path); });
}

Operation Model::Choose(std::mt19937& random) const {
  const auto below = [&](uint64_t limit) {
    return std::uniform_int_distribution<uint64_t>(0, limit - 1)(random);
  };
  std::vector<std::string> directories = {""}, files, others;
  for (const auto& [path, inode] : names_) {
    const char type = inodes_.at(inode).type;
    (type == 'd' ? directories : type == 'f' ? files : others).push_back(path);
  }
  const auto in = [&](const char* prefix, int names) {
    const std::string& directory = directories[below(directories.size())];
    return (directory.empty() ? "" : directory + "/") + prefix +
           std::to_string(below(static_cast<uint64_t>(names)));
  };
  const auto any_file = [&] { return files[below(files.size())]; };

  for (;;) {
    Operation operation;
    operation.number = below(1'000'000);
    const uint64_t choice = below(20);
    if (choice < 4) {
      operation = {OperationKind::kCreate, in("f", kFiles), "", 0};
      if (!Has(operation.path)) return operation;
    } else if (choice < 6) {
      operation = {OperationKind::kMkdir, in("d", kDirectories), "", 0};
      if (!Has(operation.path) && std::count(operation.path.begin(), operation.path.end(), '/') < 4)
        return operation;
    } else if (choice == 6) {
      operation.kind = OperationKind::kSymlink;
      operation.path = in("s", kFiles);
      if (!Has(operation.path)) return operation;
    } else if (choice == 7) {
      operation = {OperationKind::kRmdir, directories[below(directories.size())], "", 0};
      if (!operation.path.empty() && IsEmptyDirectory(operation.path)) return operation;
    } else if (choice == 8) {
      if (!others.empty()) return {OperationKind::kUnlink, others[below(others.size())], "", 0};
    } else if (choice == 9 && directories.size() > 1) {
      operation = {OperationKind::kRename, directories[1 + below(directories.size() - 1)],
                   in("d", kDirectories), 0};
      if (!Has(operation.to) && !IsBelow(operation.to, operation.path) &&
          operation.to != operation.path)
        return operation;
    } else if (!files.empty()) {
      operation.path = any_file();
      switch (choice) {
        case 10:
        case 11:
          operation.kind = OperationKind::kAppend;
          if (At(operation.path).content.size() < kMaxContent) return operation;
          break;
        case 12:
        case 13:
          operation.kind = OperationKind::kAppendHeld;
          if (At(operation.path).content.size() < kMaxContent) return operation;
          break;
        case 14:
          operation.kind = OperationKind::kTruncate;
          operation.number %= 20'000;
          return operation;
        case 15:
          operation.kind = OperationKind::kUnlink;
          return operation;
        case 16:
          operation.kind = OperationKind::kRename;
          operation.to = in("f", kFiles);
          if (operation.to != operation.path) return operation;
          break;
        case 17:
          operation.kind = OperationKind::kLink;
          operation.to = in("f", kFiles);
          if (!Has(operation.to)) return operation;
          break;
        case 18:
          operation.kind = OperationKind::kChmod;
          operation.number = 0600 + operation.number % 0100;
          return operation;
        default:
          operation.kind = OperationKind::kSetXattr;
          return operation;
      }
    }
  }
}

std::string Model::Text() const {
  std::map<int, std::string> first_name;
  for (const auto& [path, inode] : names_) first_name.try_emplace(inode, path);
  std::ostringstream out;
  for (const auto& [path, number] : names_) {
    const ModelInode& inode = inodes_.at(number);
    out << path << " " << inode.type << " " << std::oct << inode.mode << std::dec << " "
        << inode.content.size() << " " << ToString(Hash(inode.content)) << " "
        << (inode.xattr.empty() ? "-" : inode.xattr);
    if (first_name[number] != path) out << " = " << first_name[number];
    out << "\n";
  }
  return out.str();
}

}  // namespace pxfs::test
