#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace ssdq {

// One-pass loops of DoReFa over `count` contiguous numbers, on LibTorch's threads. Rounding
// is half to even; `levels` is at most 2^16.

// q = 2 round((t / (2 m) + 1/2) levels) / levels - 1, with |t| <= m.
void dorefa_quantize_weights(const float* t, float m, float levels, float* q, int64_t count);

// q = round(clamp(x scale, low, 1) levels) / levels * gain, computed in float; T is float or
// c10::BFloat16.
struct DoReFaRange {
  float scale = 0.1F;
  float low = 0;  // 0 or -1
  float levels = 255;
  float gain = 1;
};
template <typename T>
void dorefa_quantize_activations(const T* x, DoReFaRange range, T* q, int64_t count);

// gx = g scale gain where low <= x scale <= 1, else 0.
template <typename T>
void dorefa_activation_gradient(const T* x, const T* g, DoReFaRange range, T* gx, int64_t count);

}  // namespace ssdq
