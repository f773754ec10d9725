#pragma once

#include <cstdint>

namespace ssdq {

// One-pass float loops of DoReFa over `count` contiguous numbers, on LibTorch's threads. Rounding
// is half to even; `levels` is at most 2^16.

// q = 2 round((t / (2 m) + 1/2) levels) / levels - 1, with |t| <= m.
void dorefa_quantize_weights(const float* t, float m, float levels, float* q, int64_t count);

// q = round(clamp(x scale, low, 1) levels) / levels * gain; NaN stays NaN.
struct DoReFaRange {
  float scale = 0.1F;
  float low = 0;  // 0 or -1
  float levels = 255;
  float gain = 1;
};
void dorefa_quantize_activations(const float* x, DoReFaRange range, float* q, int64_t count);

// gx = g scale gain where low <= x scale <= 1, else 0.
void dorefa_activation_gradient(const float* x, const float* g, DoReFaRange range, float* gx,
                                int64_t count);

}  // namespace ssdq
