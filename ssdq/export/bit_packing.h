#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ssdq {

// Integers of `bits` (1..32) bits one after the other, the first in the lowest bits of the first
// byte; the last byte is filled with zeros. Negative values are in two's complement, so codes of 8,
// 16 and 32 bits are plain little-endian integers and those of 4 bits lie two to a byte, the first
// in the low half. Throws Error for a value that `bits` do not hold (neither signed nor unsigned).
std::string pack_bits(const std::vector<int64_t>& values, int bits);

// The first `count` of them. Throws Error if `bytes` are not exactly as many as they take.
std::vector<int64_t> unpack_bits(std::string_view bytes, size_t count, int bits, bool is_signed);

}  // namespace ssdq
