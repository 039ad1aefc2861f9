// XXH3: 64 bits with a seed for placement and directory order, 128 bits for content.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace pxfs {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

std::string ToString(const Hash128& hash);  // 32 hex digits

uint64_t Hash64(std::string_view data, uint64_t seed);
Hash128 Hash(std::string_view data);

// XXH3-128 over a stream. Not thread-safe.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void Update(const void* data, size_t size);
  Hash128 Digest() const;  // of everything so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pxfs
