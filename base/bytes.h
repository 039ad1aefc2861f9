// Big-endian numbers in strings, so that byte order is number order in ordered stores; hex and
// UUIDs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pxfs {

void AppendBigEndian64(std::string& out, uint64_t value);
// The number in the first 8 bytes of `in`, which must hold them.
uint64_t ReadBigEndian64(std::string_view in);
std::string ToHex(uint64_t value);                // lower case, no leading zeros, "0" for 0
Result<uint64_t> FromHex(std::string_view text);  // kInvalid unless 1 to 16 hex digits
std::string ToHex16(uint64_t value);  // the same in 16 digits, so that text order is number order
// Takes 16 hex digits off the front of `text`. False, and nothing is taken, where they are not
// there.
bool TakeHex16(std::string_view& text, uint64_t* value);
std::string NewUuid();                    // a random UUID, version 4, from the kernel
std::string FormatBytes(uint64_t bytes);  // "1.5 GiB"

}  // namespace pxfs
