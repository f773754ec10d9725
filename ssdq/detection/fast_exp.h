#pragma once

#include <cstdint>
#include <cstring>

namespace ssdq {

// e^x for x <= 0, within 2 units in the last place of the correct value; 0 below -87 (where it
// would be less than 2e-38), NaN for NaN. Branch-free, so that loops over it vectorise.
inline float fast_exp(float x) {
  constexpr float kLowest = -87.0F;
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // 9 bits, so that a whole number times it is exact
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRound =
      12582912.0F;  // 1.5 * 2^23: adding it leaves the whole part in the last bits

  const float bounded = x < kLowest ? kLowest : x;
  const float shifted = bounded * kLog2E + kRound;
  const float whole = shifted - kRound;
  const float r = (bounded - whole * kLn2High) - whole * kLn2Low;

  float series = 1.0F / 5040;
  series = series * r + 1.0F / 720;
  series = series * r + 1.0F / 120;
  series = series * r + 1.0F / 24;
  series = series * r + 1.0F / 6;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;

  uint32_t bits = 0;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127U) << 23U;
  float power = 0;
  std::memcpy(&power, &bits, sizeof power);
  return x < kLowest ? 0.0F : series * power;
}

}  // namespace ssdq
