#include "ssdq/quantization/dorefa_kernels.h"

#include <ATen/Parallel.h>

namespace ssdq {
namespace {

constexpr int64_t kGrain = 32768;

// Adding 1.5 * 2^23 leaves no fraction bits: the FPU rounds half to even, vectorised without
// SSE 4.1.
inline float round_even(float x) {
  constexpr float kMagic = 12582912.0F;
  return (x + kMagic) - kMagic;
}

}  // namespace

void dorefa_quantize_weights(const float* t, float m, float levels, float* q, int64_t count) {
  const float half = levels / 2;
  const float scale = half / m;
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      q[i] = 2 * round_even(t[i] * scale + half) / levels - 1;
    }
  });
}

void dorefa_quantize_activations(const float* x, DoReFaRange range, float* q, int64_t count) {
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float y = x[i] * range.scale;
      y = y < range.low ? range.low : y;
      y = y > 1.0F ? 1.0F : y;
      q[i] = round_even(y * range.levels) / range.levels * range.gain;
    }
  });
}

void dorefa_activation_gradient(const float* x, const float* g, DoReFaRange range, float* gx,
                                int64_t count) {
  const float slope = range.scale * range.gain;
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float y = x[i] * range.scale;
      const float inside = static_cast<float>(y >= range.low) * static_cast<float>(y <= 1.0F);
      gx[i] = inside * slope * g[i];
    }
  });
}

}  // namespace ssdq
