#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace ssdq {

// Qm.n: a sign bit, m bits before the binary point and n behind it; a code c of 1 + m + n bits in
// two's complement stands for c 2^-n, from -2^m to 2^m - 2^-n.
struct FixedPoint {
  int integer_bits = 0;   // m
  int fraction_bits = 0;  // n

  int bits() const { return 1 + integer_bits + fraction_bits; }
  int bytes() const { return bits() <= 8 ? 1 : bits() <= 16 ? 2 : 4; }  // in a file
};

// "Q3.4": m and n at least 0, at most 32 bits altogether. Throws ConfigError for other text.
FixedPoint parse_fixed_point(const std::string& text);
std::string to_string(const FixedPoint& format);

// The code nearest to `value` (finite), halves to even, and the end of the range where the value
// lies beyond it by half a step or more: then `saturated` grows by one.
int64_t to_fixed_point(double value, const FixedPoint& format, size_t& saturated);

}  // namespace ssdq
