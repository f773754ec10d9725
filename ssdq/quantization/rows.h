#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "ssdq/kernels/dispatch.h"
#include "ssdq/quantization/fake_quantize.h"

namespace ssdq {

// What the functions of fake_quantize.h share: cutting a tensor into rows and chunks for the
// kernels, and the shapes that LibTorch's operators want instead.

// A dense tensor in memory order, cut into the rows that have their own parameters.
struct Rows {
  int64_t count = 1, length = 0;

  int64_t mask_stride() const { return (length + 15) / 16 * 2; }
  int64_t chunks() const { return (length + kChunk - 1) / kChunk; }
};

inline Rows rows_of(const torch::Tensor& x, const torch::Tensor& parameter) {
  const int64_t count = parameter.dim() == 0 ? 1 : x.size(0);
  return {count, x.numel() / std::max<int64_t>(count, 1)};
}

// Rows must lie one after the other.
inline torch::Tensor dense(const torch::Tensor& x, const Rows& rows) {
  const bool ordered = rows.count == 1 || x.stride(0) == rows.length;
  return x.is_non_overlapping_and_dense() && ordered ? x : x.contiguous();
}

// body(row, first, count, chunk) on LibTorch's threads; chunks are numbered in memory order.
template <typename Body>
void for_chunks(const Rows& rows, Body body) {
  const int64_t per_row = rows.chunks();
  const int64_t grain = std::max<int64_t>(1, kChunk / std::max<int64_t>(rows.length, 1));
  at::parallel_for(0, rows.count * per_row, grain, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t row = chunk / per_row, first = chunk % per_row * kChunk;
      body(row, first, std::min(kChunk, rows.length - first), chunk);
    }
  });
}

inline void require_finite(const std::vector<uint8_t>& good) {
  for (const uint8_t chunk : good) {
    if (chunk == 0) {
      throw NonFinite("holds an infinity or NaN");
    }
  }
}

inline torch::Tensor float_values(const torch::Tensor& x) {
  return x.to(torch::kCPU, torch::kFloat).contiguous();
}

// What LibTorch's operators compute with: rows as a shape that broadcasts over x.
inline torch::Tensor spread(const torch::Tensor& parameter, const torch::Tensor& x) {
  const auto type = x.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat;
  torch::Tensor moved = parameter.to(x.device(), type);
  if (parameter.dim() == 0) {
    return moved;
  }
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = parameter.size(0);
  return moved.view(shape);
}

inline torch::Tensor widened(const torch::Tensor& x) {
  return x.scalar_type() == torch::kDouble ? x : x.to(torch::kFloat);
}

// On the CPU throws; elsewhere adds 0 or NaN.
inline torch::Tensor guarded(const torch::Tensor& y, const torch::Tensor& x) {
  if (x.device().is_cpu()) {
    if (!torch::isfinite(x).all().item<bool>()) {
      throw NonFinite("holds an infinity or NaN");
    }
    return y;
  }
  return y + (x - x);
}

inline torch::Tensor reduced(const torch::Tensor& x, const torch::Tensor& parameter) {
  return parameter.dim() == 0 ? x.sum() : x.reshape({x.size(0), -1}).sum(1);
}

}  // namespace ssdq
