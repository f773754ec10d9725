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

}  // namespace ssdq
