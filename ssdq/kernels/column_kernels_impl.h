#pragma once

#include "ssdq/kernels/kernels.h"
#include "ssdq/kernels/vector_loops.h"

// The loops of kernels.h over rows whose columns have parameters of their own.

namespace ssdq {
namespace {

constexpr int64_t kTile = 256;    // columns summed at once
constexpr int64_t kSumRows = 64;  // rows whose sums stay in float
constexpr int64_t kRowGroup = 4;  // rows that share a load of the sums

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Sums of two terms for each column: body(index, column, how many, first, second) adds to a vector
// of each.
template <typename Body>
SSDQ_INLINE inline void sum_columns(int64_t n, int64_t width, double* first, double* second,
                                    Body body) {
  const int64_t rows = (n + width - 1) / width, full_rows = n / width;
  for (int64_t tile = 0; tile < width; tile += kTile) {
    const int64_t columns = smaller(kTile, width - tile);
    for (int64_t begin = 0; begin < rows; begin += kSumRows) {
      float a[kTile + kLanes] = {}, b[kTile + kLanes] = {};
      const int64_t end = smaller(begin + kSumRows, rows);
      for (int64_t row = begin; row < end;) {
        const int64_t group = row + kRowGroup <= smaller(end, full_rows) ? kRowGroup : 1;
        const int64_t present = smaller(columns, n - row * width - tile);
        const auto add_up = [&](int64_t i, int64_t count, int64_t group_rows) SSDQ_INLINE {
          Vec va = Vec::load(a + i), vb = Vec::load(b + i);
          for (int64_t k = 0; k < group_rows; ++k) {
            body((row + k) * width + tile + i, tile + i, count, va, vb);
          }
          va.store(a + i);
          vb.store(b + i);
        };
        for_vectors(0, present < 0 ? 0 : present, [&](int64_t i, int64_t count) SSDQ_INLINE {
          if (group == kRowGroup) {
            add_up(i, count, kRowGroup);
          } else {
            add_up(i, count, 1);
          }
        });
        row += group;
      }
      for (int64_t i = 0; i < columns; ++i) {
        first[tile + i] += static_cast<double>(a[i]);
        second[tile + i] += static_cast<double>(b[i]);
      }
    }
  }
}

// body(index, column, how many) for each vector of each row.
template <typename Body>
SSDQ_INLINE inline void for_columns(int64_t n, int64_t width, Body body) {
  for (int64_t row = 0; row < n; row += width) {
    for_vectors(0, smaller(width, n - row),
                [&](int64_t i, int64_t count) SSDQ_INLINE { body(row + i, i, count); });
  }
}

template <typename T>
void column_moments(const T* x, int64_t n, int64_t width, const ColumnMoments& moments) {
  sum_columns(n, width, moments.sum, moments.squares,
              [&](int64_t i, int64_t column, int64_t count, Vec& first, Vec& second) SSDQ_INLINE {
                const Vec in = load(x + i, count);
                const Vec v = in - load(moments.pivot + column, count);
                first = first + v;
                second = second + v * v;
                if (moments.min != nullptr) {
                  store(min(load(moments.min + column, count), in), moments.min + column, count);
                  store(max(load(moments.max + column, count), in), moments.max + column, count);
                }
              });
}

// The scalars of a code in every lane.
struct CodeVectors {
  Vec gain, step, offset, low, high, inside_low, inside_high, out_step;

  explicit CodeVectors(const AffineRow& row)
      : gain(Vec::all(row.gain)),
        step(Vec::all(row.step)),
        offset(Vec::all(row.offset)),
        low(Vec::all(row.low)),
        high(Vec::all(row.high)),
        inside_low(Vec::all(row.inside_low)),
        inside_high(Vec::all(row.inside_high)),
        out_step(Vec::all(row.out_step)) {}

  SSDQ_INLINE Vec position(Vec a) const { return (a - offset) * gain / step; }
  SSDQ_INLINE Mask inside(Vec v) const { return (inside_low <= v) & (v <= inside_high); }
  SSDQ_INLINE Vec clamped(Vec v) const { return min(max(v, low), high); }
};

template <typename T, bool kCode>
bool column_affine_loop(const T* x, T* y, const Columns& columns) {
  const Vec low = Vec::all(columns.low), high = Vec::all(columns.high);
  const CodeVectors code(kCode ? *columns.code : AffineRow());
  Mask good = Mask::all();
  for_columns(columns.n, columns.width, [&](int64_t i, int64_t column, int64_t count) SSDQ_INLINE {
    const Vec v = load(x + i, count) * load(columns.scale + column, count) +
                  load(columns.shift + column, count);
    // Of NaN and a number, min and max give the second operand: NaN stays.
    Vec a = min(high, max(low, v));
    good = good & finite(a);
    if (kCode) {
      a = round_even(code.clamped(code.position(a))) * code.out_step + code.offset;
    }
    store(a, y + i, count);
  });
  return good.is_all();
}

template <typename T>
bool column_affine(const T* x, T* y, const Columns& columns) {
  return columns.code != nullptr ? column_affine_loop<T, true>(x, y, columns)
                                 : column_affine_loop<T, false>(x, y, columns);
}

// The gradient behind the clamp and in front of it.
struct Upstream {
  Vec behind, passing;
  Vec v;  // position in the code
  Mask coded;
};

template <bool kCode>
SSDQ_INLINE inline Upstream upstream(Vec x, Vec g, const Columns& columns, const CodeVectors& code,
                                     Vec slope, int64_t column, int64_t count) {
  const Vec zero = Vec::all(0), low = Vec::all(columns.low), high = Vec::all(columns.high);
  const Vec a = x * load(columns.scale + column, count) + load(columns.shift + column, count);
  const Mask inside = (low < a) & (a < high);
  if (!kCode) {
    return {g, select(inside, g, zero), zero, inside};
  }
  const Vec v = code.position(min(high, max(low, a)));
  const Mask coded = code.inside(v);
  return {g, select(inside & coded, g * slope, zero), v, coded};
}

template <typename T, bool kCode, CodeGradient kRule>
CodeSums column_gradient_sums_loop(const T* x, const T* g, const Columns& columns,
                                   const ColumnSums& sums, float slope) {
  const CodeVectors code(kCode ? *columns.code : AffineRow());
  const Vec zero = Vec::all(0), factor = Vec::all(slope);
  CodeSums result;
  Vec first_part = zero, second_part = zero;
  int64_t parts = 0;
  const auto flush = [&]() {
    result.first += total(first_part);
    result.second += total(second_part);
    first_part = second_part = zero;
    parts = 0;
  };
  sum_columns(columns.n, columns.width, sums.sum, sums.product,
              [&](int64_t i, int64_t column, int64_t count, Vec& first, Vec& second) SSDQ_INLINE {
                const Vec in = load(x + i, count);
                const Upstream up =
                    upstream<kCode>(in, load(g + i, count), columns, code, factor, column, count);
                first = first + up.passing;
                second = second + up.passing * (in - load(sums.mean + column, count));
                if (kRule == CodeGradient::kClip) {
                  const Mask above = code.inside_high < up.v;
                  first_part = first_part + select(above, up.behind, zero);
                  second_part = second_part + select(!above & !up.coded, up.behind, zero);
                }
                if (kRule == CodeGradient::kStep) {
                  const Vec clamped = code.clamped(up.v);
                  first_part = first_part +
                               up.behind * select(up.coded, round_even(clamped) - up.v, clamped);
                  second_part = second_part + select(up.coded, zero, up.behind);
                }
                if (kRule != CodeGradient::kNone && ++parts == 64) {
                  flush();
                }
              });
  flush();
  return result;
}

template <typename T>
CodeSums column_gradient_sums(const T* x, const T* g, const Columns& columns,
                              const ColumnSums& sums, CodeGradient rule, float slope) {
  if (columns.code == nullptr) {
    return column_gradient_sums_loop<T, false, CodeGradient::kNone>(x, g, columns, sums, slope);
  }
  switch (rule) {
    case CodeGradient::kClip:
      return column_gradient_sums_loop<T, true, CodeGradient::kClip>(x, g, columns, sums, slope);
    case CodeGradient::kStep:
      return column_gradient_sums_loop<T, true, CodeGradient::kStep>(x, g, columns, sums, slope);
    case CodeGradient::kNone:
      break;
  }
  return column_gradient_sums_loop<T, true, CodeGradient::kNone>(x, g, columns, sums, slope);
}

template <typename T, bool kCode>
void column_gradient_loop(const T* x, const T* g, T* gx, const Columns& columns,
                          const ColumnGradient& gradient, float slope) {
  const CodeVectors code(kCode ? *columns.code : AffineRow());
  const Vec factor = Vec::all(slope);
  for_columns(columns.n, columns.width, [&](int64_t i, int64_t column, int64_t count) SSDQ_INLINE {
    const Vec in = load(x + i, count);
    const Vec up =
        upstream<kCode>(in, load(g + i, count), columns, code, factor, column, count).passing;
    const Vec centred = in - load(gradient.mean + column, count);
    store(
        up * load(columns.scale + column, count) + (centred * load(gradient.slope + column, count) +
                                                    load(gradient.constant + column, count)),
        gx + i, count);
  });
}

template <typename T>
void column_gradient(const T* x, const T* g, T* gx, const Columns& columns,
                     const ColumnGradient& gradient, float slope) {
  if (columns.code != nullptr) {
    column_gradient_loop<T, true>(x, g, gx, columns, gradient, slope);
  } else {
    column_gradient_loop<T, false>(x, g, gx, columns, gradient, slope);
  }
}

}  // namespace
}  // namespace ssdq
