// What fuzz targets share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace pxfs::fuzz {

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes the first byte, which chooses what the rest is.
inline uint8_t TakeChoice(std::string_view* input) {
  if (input->empty()) return 0;
  const auto choice = static_cast<uint8_t>(input->front());
  input->remove_prefix(1);
  return choice;
}

// What must hold for every input.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace pxfs::fuzz
