#pragma once

#include <cstdint>
#include <vector>

namespace ssdq {

// An affine fake quantizer of one row: v = (x - offset) gain / step, y = round(clamp(v, low, high))
// out_step + offset, halves to even. The gradient passes where inside_low <= v <= inside_high.
struct AffineRow {
  float gain = 1;
  float step = 1;
  float offset = 0;
  float low = 0, high = 255;
  float inside_low = 0, inside_high = 255;
  float out_step = 1;
};

struct Moments {
  float min = 0, max = 0;
  double sum = 0, sum_abs = 0, sum_squares = 0;
  bool finite = true;
};

// Sums of upstream gradients on the two sides of a clamp.
struct OutsideSums {
  double above = 0, below = 0;
};

// Derivatives of the sum of g y.
struct LearnedSums {
  double step = 0, offset = 0;
};

struct TernarySums {
  double sum = 0;  // of |x| where |x| > threshold
  int64_t count = 0;
};

// Values of a non-uniform code in rising order, a midpoint between each two, and how often and with
// what sum of inputs each was chosen.
struct LevelTable {
  const float* levels = nullptr;
  const float* midpoints = nullptr;  // one fewer
  int count = 0;
  int64_t* hits = nullptr;  // null: not counted
  double* sums = nullptr;
};

// Rows of `width` numbers, one after the other, `n` numbers in all (the last row may be short);
// each column has parameters of its own. a = min(max(scale x + shift, low), high); a gradient
// passes where a is none of the two. With a code, a is fake quantized after that.
struct Columns {
  int64_t n = 0, width = 0;
  const float* scale = nullptr;
  const float* shift = nullptr;
  float low = 0, high = 0;
  const AffineRow* code = nullptr;
};

// What is summed for the parameters of a code: nothing, the gradients on both sides of its clamp,
// or those of its step and offset.
enum class CodeGradient { kNone, kClip, kStep };

// Each column's sum of g' and of g' (x - mean), added to, with g' the gradient that passes.
struct ColumnSums {
  const float* mean = nullptr;
  double* sum = nullptr;
  double* product = nullptr;
};

// gx = scale g' + slope (x - mean) + constant of a column.
struct ColumnGradient {
  const float* mean = nullptr;
  const float* slope = nullptr;
  const float* constant = nullptr;
};

// Sums of a code with gradients: above and below the clamp, or for step and offset.
struct CodeSums {
  double first = 0, second = 0;
};

// Each column's sum of x - pivot, of its square, and its extremes; added to.
struct ColumnMoments {
  const float* pivot = nullptr;
  double* sum = nullptr;
  double* squares = nullptr;
  float* min = nullptr;  // null: no extremes
  float* max = nullptr;
};

// Single-threaded loops over `n` contiguous numbers; T is float or uint16_t, the bits of a
// bfloat16. A mask holds one bit for each number, lowest bit first, in whole groups of 16; it may
// be null. Those that return bool say whether all inputs were finite.
template <typename T>
struct TypedKernels {
  bool (*affine)(const T* x, T* y, uint8_t* inside, uint8_t* above, int64_t n,
                 const AffineRow& row);

  // y = min(max(x, low), high); inside: low < x < high
  void (*clamp)(const T* x, T* y, uint8_t* inside, int64_t n, float low, float high);

  // gx = inside ? g slope : 0
  OutsideSums (*masked_gradient)(const T* g, const uint8_t* inside, const uint8_t* above, T* gx,
                                 int64_t n, float slope);

  // gx = inside ? g : 0; step: g (round(v) - v) inside, g low or g high outside; offset: g outside.
  LearnedSums (*learned_gradient)(const T* x, const T* g, T* gx, int64_t n, const AffineRow& row);

  Moments (*moments)(const T* x, int64_t n);

  TernarySums (*ternary_sums)(const T* x, int64_t n, float threshold);

  // y = |x| > threshold ? (x < 0 ? -magnitude : magnitude) : 0; inside: |x| < 1
  bool (*sign)(const T* x, T* y, uint8_t* inside, int64_t n, float magnitude, float threshold);

  // The nearest level, the lower of two equally near; inside: between the outer levels.
  bool (*nearest_level)(const T* x, T* y, uint8_t* inside, int64_t n, const LevelTable& table);

  // y = 2 round((t / (2 m) + 1 / 2) levels) / levels - 1, t = tanh(w), m = tanh(peak), but 1 for 0.
  void (*tanh_code)(const T* w, T* y, int64_t n, float peak, float levels);

  // gw = g (1 - t^2) / m; the sum of g t.
  double (*tanh_gradient)(const T* w, const T* g, T* gw, int64_t n, float peak);

  void (*column_moments)(const T* x, int64_t n, int64_t width, const ColumnMoments& moments);

  // y = a, quantized if there is a code; the result says whether every a was finite.
  bool (*column_affine)(const T* x, T* y, const Columns& columns);

  // `slope`: what the code multiplies the gradient by.
  CodeSums (*column_gradient_sums)(const T* x, const T* g, const Columns& columns,
                                   const ColumnSums& sums, CodeGradient rule, float slope);

  void (*column_gradient)(const T* x, const T* g, T* gx, const Columns& columns,
                          const ColumnGradient& gradient, float slope);
};

struct Kernels {
  const char* name;  // "avx512", "avx2", "portable"
  TypedKernels<float> f32;
  TypedKernels<uint16_t> bf16;
};

// The fastest that this processor runs.
const Kernels& kernels();

// All that this processor runs, the fastest first.
std::vector<const Kernels*> supported_kernels();

}  // namespace ssdq
