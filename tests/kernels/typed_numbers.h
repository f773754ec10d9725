#pragma once

#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

#include <c10/util/BFloat16.h>

#include "ssdq/kernels/kernels.h"

namespace ssdq {

// float, and bfloat16 as the uint16_t in which kernels take it.

inline float to_float(float x) { return x; }
inline float to_float(uint16_t x) {
  return static_cast<float>(c10::BFloat16(x, c10::BFloat16::from_bits()));
}

template <typename T>
T from_float(float x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else {
    return c10::BFloat16(x).x;
  }
}

template <typename T>
std::vector<T> numbers(int64_t count, unsigned seed, float spread = 3, float mean = 0) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, spread);
  std::vector<T> result;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back(from_float<T>(normal(generator)));
  }
  return result;
}

template <typename T>
const TypedKernels<T>& typed(const Kernels& kernels) {
  if constexpr (std::is_same_v<T, float>) {
    return kernels.f32;
  } else {
    return kernels.bf16;
  }
}

}  // namespace ssdq
