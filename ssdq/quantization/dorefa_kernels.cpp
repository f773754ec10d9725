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

template <typename T>
void dorefa_quantize_activations(const T* x, DoReFaRange range, T* q, int64_t count) {
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float y = static_cast<float>(x[i]) * range.scale;
      y = y < range.low ? range.low : y;
      y = y > 1.0F ? 1.0F : y;
      q[i] = static_cast<T>(round_even(y * range.levels) / range.levels * range.gain);
    }
  });
}

template <typename T>
void dorefa_activation_gradient(const T* x, const T* g, DoReFaRange range, T* gx, int64_t count) {
  const float slope = range.scale * range.gain;
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float y = static_cast<float>(x[i]) * range.scale;
      const float inside = static_cast<float>(y >= range.low) * static_cast<float>(y <= 1.0F);
      gx[i] = static_cast<T>(inside * slope * static_cast<float>(g[i]));
    }
  });
}

template void dorefa_quantize_activations(const float*, DoReFaRange, float*, int64_t);
template void dorefa_quantize_activations(const c10::BFloat16*, DoReFaRange, c10::BFloat16*,
                                          int64_t);
template void dorefa_activation_gradient(const float*, const float*, DoReFaRange, float*, int64_t);
template void dorefa_activation_gradient(const c10::BFloat16*, const c10::BFloat16*, DoReFaRange,
                                         c10::BFloat16*, int64_t);

}  // namespace ssdq
