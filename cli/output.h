// What programs print: errors of one line, tables, JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace pxfs::cli {

bool IsTerminal(int fd);

// `text` on one line: control characters as \n, \t or \xNN.
std::string OneLine(const std::string& text);

// "pxfs: VERB: message" on standard error, in one line.
void PrintError(const std::string& verb, const std::string& message);
// "pxfs: warning: message" likewise.
void PrintWarning(const std::string& message);

// On standard output. Names of bytes that are no UTF-8 are shown as far as they are.
void PrintJson(const nlohmann::json& json);

// "[=====>    ]  50 %  TEXT" on standard error, over and over in one line, where that is a
// terminal.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted) : shown_(wanted && IsTerminal(2)) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void Show(uint64_t done, uint64_t all, const std::string& text) const;
  void Clear() const;

 private:
  const bool shown_;
};

// Columns as wide as their widest cell; numbers to the right. The last column is not padded.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string ToString() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "1 file", "2,345 files"
std::string Count(uint64_t number, const std::string& singular);

}  // namespace pxfs::cli
