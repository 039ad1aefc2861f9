#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace pxfs::cli {
namespace {

std::string Paint(const std::string& text, const char* colour) {
  if (!IsTerminal(STDERR_FILENO) || std::getenv("NO_COLOR")) return text;
  return fmt::format("\033[{}m{}\033[0m", colour, text);
}

// Columns that a terminal uses for it: bytes that begin a character.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

bool IsTerminal(int fd) { return ::isatty(fd) == 1; }

std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
      line += hex;
    } else {
      line += c;
    }
  }
  return line;
}

void PrintError(const std::string& verb, const std::string& message) {
  const std::string prefix = verb.empty() ? "pxfs: " : fmt::format("pxfs: {}: ", verb);
  std::fprintf(stderr, "%s%s\n", Paint(prefix, "31").c_str(), OneLine(message).c_str());
}

void PrintWarning(const std::string& message) {
  std::fprintf(stderr, "%s%s\n", Paint("pxfs: warning: ", "33").c_str(), OneLine(message).c_str());
}

void PrintJson(const nlohmann::json& json) {
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
}

std::string Table::ToString() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = Width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, Width(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](const auto& cell_at) {
    std::string text;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_at(i);
      const std::string padding(widths[i] - Width(cell), ' ');
      text += i == 0 ? "" : "  ";
      text += columns_[i].align == Align::kRight ? padding + cell : cell + padding;
    }
    text.resize(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line([&](size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) line([&](size_t i) -> const std::string& { return row[i]; });
  return out;
}

std::string Count(uint64_t number, const std::string& singular) {
  std::string digits = std::to_string(number);
  for (size_t i = digits.size(); i > 3;)
    digits.insert(digits.begin() + static_cast<ptrdiff_t>(i -= 3), ',');
  return digits + " " + singular + (number == 1 ? "" : "s");
}

void ProgressLine::Show(uint64_t done, uint64_t all, const std::string& text) const {
  constexpr uint64_t kWidth = 30;
  if (!shown_) return;
  const uint64_t filled = all == 0 ? kWidth : kWidth * std::min(done, all) / all;
  std::fprintf(stderr, "\r[%s%s] %3lu %%  %s\033[K", std::string(filled, '=').c_str(),
               std::string(kWidth - filled, ' ').c_str(), 100 * filled / kWidth, text.c_str());
}

void ProgressLine::Clear() const {
  if (shown_) std::fprintf(stderr, "\r\033[K");
}

}  // namespace pxfs::cli
