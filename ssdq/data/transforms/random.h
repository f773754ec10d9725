#pragma once

#include <cstdint>

namespace ssdq {

// Random numbers that depend on (seed, stream) alone, the same with every compiler and library
// (SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0)
      : state_(mix(seed + kGamma) ^ mix(stream * kGamma + 1)) {}

  uint64_t next() { return mix(state_ += kGamma); }

  // In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // In [0, count), count > 0.
  uint64_t below(uint64_t count) {
    const uint64_t biased = (0 - count) % count;
    uint64_t value = next();
    while (value < biased) {
      value = next();
    }
    return value % count;
  }

  bool coin() { return (next() >> 63) != 0; }

 private:
  static constexpr uint64_t kGamma = 0x9E3779B97F4A7C15U;

  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace ssdq
