#pragma once

#include <cstdint>

#include <torch/types.h>

#include "ssdq/kernels/kernels.h"

namespace ssdq {

inline constexpr int64_t kChunk = 32768;  // numbers handed to a kernel at once

// Whether there are kernels for where this tensor lies and for its type.
inline bool is_fused(const torch::Tensor& x) {
  return x.device().is_cpu() &&
         (x.scalar_type() == torch::kFloat || x.scalar_type() == torch::kBFloat16);
}

// body(typed kernels, pointer type) for the type of `x`.
template <typename Body>
auto with_type(const torch::Tensor& x, Body body) {
  return x.scalar_type() == torch::kFloat ? body(kernels().f32, static_cast<float*>(nullptr))
                                          : body(kernels().bf16, static_cast<uint16_t*>(nullptr));
}

template <typename T>
T* data(const torch::Tensor& x) {
  return static_cast<T*>(x.data_ptr());
}

}  // namespace ssdq
