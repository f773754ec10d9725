#pragma once

#include "ssdq/kernels/kernels.h"
#include "ssdq/kernels/vector_loops.h"

// The loops of kernels.h over weights that go through tanh.

namespace ssdq {
namespace {

// Of 0 <= x <= 20, to a few units in the last place: 2^n e^r with |r| <= ln(2) / 2.
inline Vec exponential(Vec x) {
  const Vec n = round_even(x * Vec::all(1.44269504F));
  const Vec r = x - n * Vec::all(0.693359375F) - n * Vec::all(-2.12194440e-4F);
  Vec p = Vec::all(1.9875691500e-4F);
  for (const float c :
       {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F}) {
    p = p * r + Vec::all(c);
  }
  return (p * r * r + r + Vec::all(1)) * power_of_two(n);
}

// To a few units in the last place.
inline Vec tangent(Vec x) {
  const Vec magnitude = abs(x), square = x * x, one = Vec::all(1), two = Vec::all(2);
  Vec p = Vec::all(-5.70498872745e-3F);
  for (const float c :
       {2.06390887954e-2F, -5.37397155531e-2F, 1.33314422036e-1F, -3.33332819422e-1F}) {
    p = p * square + Vec::all(c);
  }
  const Vec near_zero = x + x * square * p;
  const Vec far = one - two / (exponential(two * min(magnitude, Vec::all(10))) + one);
  const Vec with_sign = select(x < Vec::all(0), Vec::all(0) - far, far);
  return select(magnitude < Vec::all(0.625F), near_zero, with_sign);
}

// tanh(peak) in every lane; 1 for a tensor of zeros.
inline Vec normalizer(float peak) {
  const Vec m = tangent(Vec::all(peak));
  return select(Vec::all(1e-30F) < m, m, Vec::all(1));
}

template <typename T>
void tanh_code(const T* w, T* y, int64_t n, float peak, float levels) {
  const Vec half = Vec::all(levels / 2), scale = half / normalizer(peak);
  const Vec two = Vec::all(2), one = Vec::all(1), all_levels = Vec::all(levels);
  for_vectors(0, n, [&](int64_t i, int64_t count) SSDQ_INLINE {
    const Vec code = round_even(tangent(load(w + i, count)) * scale + half);
    store(two * code / all_levels - one, y + i, count);
  });
}

template <typename T>
double tanh_gradient(const T* w, const T* g, T* gw, int64_t n, float peak) {
  const Vec zero = Vec::all(0), one = Vec::all(1), m = normalizer(peak);
  double total_product = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    Vec product = zero;
    for_vectors(begin, block_end(begin, n), [&](int64_t i, int64_t count) SSDQ_INLINE {
      const Vec t = tangent(load(w + i, count)), up = load(g + i, count);
      product = product + up * t;
      store(up * (one - t * t) / m, gw + i, count);
    });
    total_product += total(product);
  }
  return total_product;
}

}  // namespace
}  // namespace ssdq
