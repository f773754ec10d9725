#pragma once

#include <cfloat>

#include "ssdq/kernels/column_kernels_impl.h"
#include "ssdq/kernels/kernels.h"
#include "ssdq/kernels/tanh_kernels_impl.h"
#include "ssdq/kernels/vector_loops.h"

// The loops of kernels.h over flat arrays.

namespace ssdq {
namespace {

template <typename T, bool kMask>
bool affine_loop(const T* x, T* y, uint8_t* inside, uint8_t* above, int64_t n,
                 const AffineRow& row) {
  const Vec gain = Vec::all(row.gain), step = Vec::all(row.step), offset = Vec::all(row.offset);
  const Vec low = Vec::all(row.low), high = Vec::all(row.high), out = Vec::all(row.out_step);
  const Vec inside_low = Vec::all(row.inside_low), inside_high = Vec::all(row.inside_high);
  Mask good = Mask::all();
  for_vectors(0, n, [&](int64_t i, int64_t count) SSDQ_INLINE {
    const Vec in = load(x + i, count);
    good = good & finite(in);
    const Vec v = (in - offset) * gain / step;
    store(round_even(min(max(v, low), high)) * out + offset, y + i, count);
    if (kMask) {
      ((inside_low <= v) & (v <= inside_high)).to_bits(inside + i / 8);
      if (above != nullptr) {
        (inside_high < v).to_bits(above + i / 8);
      }
    }
  });
  return good.is_all();
}

template <typename T>
bool affine(const T* x, T* y, uint8_t* inside, uint8_t* above, int64_t n, const AffineRow& row) {
  return inside != nullptr ? affine_loop<T, true>(x, y, inside, above, n, row)
                           : affine_loop<T, false>(x, y, inside, above, n, row);
}

template <typename T>
void clamp(const T* x, T* y, uint8_t* inside, int64_t n, float low, float high) {
  const Vec least = Vec::all(low), most = Vec::all(high);
  for_vectors(0, n, [&](int64_t i, int64_t count) SSDQ_INLINE {
    const Vec v = load(x + i, count);
    // Of NaN and a number, min and max give the second operand: NaN stays.
    store(min(most, max(least, v)), y + i, count);
    if (inside != nullptr) {
      ((least < v) & (v < most)).to_bits(inside + i / 8);
    }
  });
}

template <typename T>
OutsideSums masked_gradient(const T* g, const uint8_t* inside, const uint8_t* above, T* gx,
                            int64_t n, float slope) {
  const Vec zero = Vec::all(0), factor = Vec::all(slope);
  OutsideSums sums;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    Vec over = zero, under = zero;
    for_vectors(begin, block_end(begin, n), [&](int64_t i, int64_t count) SSDQ_INLINE {
      const Vec up = load(g + i, count);
      const Mask in = Mask::from_bits(inside + i / 8);
      store(select(in, up * factor, zero), gx + i, count);
      if (above != nullptr) {
        const Mask top = Mask::from_bits(above + i / 8);
        over = over + select(top, up, zero);
        under = under + select(!top & !in, up, zero);
      }
    });
    sums.above += total(over);
    sums.below += total(under);
  }
  return sums;
}

template <typename T>
LearnedSums learned_gradient(const T* x, const T* g, T* gx, int64_t n, const AffineRow& row) {
  const Vec zero = Vec::all(0), step = Vec::all(row.step), offset = Vec::all(row.offset);
  const Vec low = Vec::all(row.low), high = Vec::all(row.high);
  const Vec inside_low = Vec::all(row.inside_low), inside_high = Vec::all(row.inside_high);
  LearnedSums sums;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    Vec to_step = zero, to_offset = zero;
    for_vectors(begin, block_end(begin, n), [&](int64_t i, int64_t count) SSDQ_INLINE {
      const Vec v = (load(x + i, count) - offset) / step;
      const Vec up = load(g + i, count);
      const Mask in = (inside_low <= v) & (v <= inside_high);
      const Vec clamped = min(max(v, low), high);
      store(select(in, up, zero), gx + i, count);
      to_step = to_step + up * select(in, round_even(clamped) - v, clamped);
      to_offset = to_offset + select(in, zero, up);
    });
    sums.step += total(to_step);
    sums.offset += total(to_offset);
  }
  return sums;
}

// For a block whose squares leave the range of float.
template <typename T>
double wide_squares(const T* x, int64_t begin, int64_t n) {
  double sum = 0;
  float lanes[kLanes];
  for_vectors(begin, block_end(begin, n), [&](int64_t i, int64_t count) SSDQ_INLINE {
    load(x + i, count).store(lanes);
    for (const float lane : lanes) {
      sum += static_cast<double>(lane) * static_cast<double>(lane);
    }
  });
  return sum;
}

template <typename T>
Moments moments(const T* x, int64_t n) {
  Moments result;
  if (n == 0) {
    return result;
  }
  const Vec zero = Vec::all(0);
  Vec least = load_some(x, 1, x[0]), most = least;
  Mask good = Mask::all();
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    Vec sum = zero, sum_abs = zero, squares = zero;
    for_vectors(begin, block_end(begin, n), [&](int64_t i, int64_t count) SSDQ_INLINE {
      const Vec v = load(x + i, count);
      const Vec extreme = count == kLanes ? v : load_some(x + i, count, x[i]);
      least = min(extreme, least);
      most = max(extreme, most);
      good = good & finite(v);
      sum = sum + v;
      sum_abs = sum_abs + abs(v);
      squares = squares + v * v;
    });
    result.sum += total(sum);
    result.sum_abs += total(sum_abs);
    const double block_squares = total(squares);
    result.sum_squares += block_squares <= DBL_MAX ? block_squares : wide_squares(x, begin, n);
  }
  float lanes[kLanes];
  least.store(lanes);
  result.min = lanes[0];
  for (const float lane : lanes) {
    result.min = lane < result.min ? lane : result.min;
  }
  most.store(lanes);
  result.max = lanes[0];
  for (const float lane : lanes) {
    result.max = lane > result.max ? lane : result.max;
  }
  result.finite = good.is_all();
  return result;
}

template <typename T>
TernarySums ternary_sums(const T* x, int64_t n, float threshold) {
  const Vec zero = Vec::all(0), one = Vec::all(1), bound = Vec::all(threshold);
  TernarySums result;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    Vec sum = zero, hits = zero;
    for_vectors(begin, block_end(begin, n), [&](int64_t i, int64_t count) SSDQ_INLINE {
      const Vec magnitude = abs(load(x + i, count));
      const Mask over = bound < magnitude;
      sum = sum + select(over, magnitude, zero);
      hits = hits + select(over, one, zero);
    });
    result.sum += total(sum);
    result.count += static_cast<int64_t>(total(hits));
  }
  return result;
}

template <typename T>
bool sign(const T* x, T* y, uint8_t* inside, int64_t n, float magnitude, float threshold) {
  const Vec zero = Vec::all(0), one = Vec::all(1), bound = Vec::all(threshold);
  const Vec plus = Vec::all(magnitude), minus = Vec::all(-magnitude);
  Mask good = Mask::all();
  for_vectors(0, n, [&](int64_t i, int64_t count) SSDQ_INLINE {
    const Vec v = load(x + i, count);
    good = good & finite(v);
    store(select(bound < abs(v), select(v < zero, minus, plus), zero), y + i, count);
    if (inside != nullptr) {
      (abs(v) < one).to_bits(inside + i / 8);
    }
  });
  return good.is_all();
}

template <typename T>
bool nearest_level(const T* x, T* y, uint8_t* inside, int64_t n, const LevelTable& table) {
  const Vec low = Vec::all(table.levels[0]), high = Vec::all(table.levels[table.count - 1]);
  const Vec zero = Vec::all(0);
  Mask good = Mask::all();
  float in[kLanes], chosen[kLanes];
  for_vectors(0, n, [&](int64_t i, int64_t count) SSDQ_INLINE {
    const Vec v = load(x + i, count);
    good = good & finite(v);
    Vec level = zero;  // how many midpoints lie below
    for (int width = table.count / 2; width > 0; width /= 2) {
      const Vec midpoint = gather(table.midpoints, level + Vec::all(static_cast<float>(width - 1)));
      level = level + select(midpoint < v, Vec::all(static_cast<float>(width)), zero);
    }
    store(gather(table.levels, level), y + i, count);
    if (table.hits != nullptr) {
      v.store(in);
      level.store(chosen);
      for (int64_t k = 0; k < count; ++k) {
        const auto hit = static_cast<int>(chosen[k]);
        ++table.hits[hit];
        table.sums[hit] += static_cast<double>(in[k]);
      }
    }
    if (inside != nullptr) {
      ((low <= v) & (v <= high)).to_bits(inside + i / 8);
    }
  });
  return good.is_all();
}

template <typename T>
TypedKernels<T> typed() {
  return {affine<T>,
          clamp<T>,
          masked_gradient<T>,
          learned_gradient<T>,
          moments<T>,
          ternary_sums<T>,
          sign<T>,
          nearest_level<T>,
          tanh_code<T>,
          tanh_gradient<T>,
          column_moments<T>,
          column_affine<T>,
          column_gradient_sums<T>,
          column_gradient<T>};
}

}  // namespace
}  // namespace ssdq
