// Numbers in the keys of records, so that the order of keys is that of numbers: 16 hexadecimal
// digits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pxfs::meta {

std::string KeyNumber(uint64_t number);
// Takes one off the front of `key`. False, and nothing is taken, where there is none.
bool TakeKeyNumber(std::string_view& key, uint64_t* number);

}  // namespace pxfs::meta
