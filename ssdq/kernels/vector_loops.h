#pragma once

#include <cfloat>
#include <cstdint>

#include "ssdq/kernels/simd.h"

// What the loops of the kernels share. They are compiled once for each instruction set and call
// nothing of the standard library: a template instantiated here for a wide instruction set could be
// the one that the linker keeps for the whole program.

namespace ssdq {
namespace {

// The bodies of the loops are lambdas used twice, which compilers would otherwise call, with their
// sums in memory.
#define SSDQ_INLINE __attribute__((always_inline))

constexpr int64_t kBlock = 64 * kLanes;  // sums are kept in float over a block, then in double

inline int64_t block_end(int64_t begin, int64_t n) {
  return n - begin < kBlock ? n : begin + kBlock;
}

// The last vector of a row is read into and written from a buffer of full length.
template <typename T>
Vec load_some(const T* p, int64_t count, T fill) {
  T buffer[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) {
    buffer[i] = i < count ? p[i] : fill;
  }
  return Vec::load(buffer);
}

template <typename T>
SSDQ_INLINE inline Vec load(const T* p, int64_t count) {
  return count == kLanes ? Vec::load(p) : load_some(p, count, T{});
}

template <typename T>
SSDQ_INLINE inline void store(Vec v, T* p, int64_t count) {
  if (count == kLanes) {
    v.store(p);
    return;
  }
  T buffer[kLanes];
  v.store(buffer);
  for (int64_t i = 0; i < kLanes; ++i) {
    if (i < count) {
      p[i] = buffer[i];
    }
  }
}

// body(index, how many) for each vector.
template <typename Body>
SSDQ_INLINE inline void for_vectors(int64_t begin, int64_t end, Body body) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    body(i, int64_t{kLanes});
  }
  if (i < end) {
    body(i, end - i);
  }
}

inline double total(Vec v) {
  float lanes[kLanes];
  v.store(lanes);
  double sum = 0;
  for (const float lane : lanes) {
    sum += static_cast<double>(lane);
  }
  return sum;
}

inline Mask finite(Vec x) { return abs(x) <= Vec::all(FLT_MAX); }

}  // namespace
}  // namespace ssdq
