#pragma once

#include <cstdint>

namespace ssdq {

// Counter-based random numbers (SplitMix64, Steele et al., OOPSLA 2014): the same on every platform and standard
// library, and cheap to start at any (seed, stream).
class Random {
 public:
  Random(uint64_t seed, uint64_t stream) : state_(mix(seed) ^ mix(stream + 0x632BE59BD9B4E019ULL)) {}

  uint64_t next() { return mix(state_ += 0x9E3779B97F4A7C15ULL); }

  // Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  bool coin() { return (next() >> 63) != 0; }

  // Uniform in [0, n), n > 0; the bias of at most n / 2^64 is beyond notice.
  uint64_t below(uint64_t n) { return static_cast<uint64_t>(uniform() * static_cast<double>(n)); }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace ssdq
