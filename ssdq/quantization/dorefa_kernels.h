#pragma once

#include <cstdint>

namespace ssdq {

// q = 2 round((t / (2 m) + 1/2) levels) / levels - 1 for `count` contiguous numbers with |t| <= m,
// on LibTorch's threads; halves to even, `levels` at most 2^16. q may be t.
void dorefa_quantize_weights(const float* t, float m, float levels, float* q, int64_t count);

}  // namespace ssdq
