#pragma once

#include <cstdint>
#include <vector>

#include <torch/types.h>

#include "ssdq/utils/error.h"

namespace ssdq {

// The differentiable functions that the quantizers are made of. Each is one pass forward and one
// backward: a fused kernel for float and bfloat16 on the CPU (kernels/), LibTorch's operators for
// other types and devices, where bfloat16 and half compute in float. Rounding is half to even.
//
// "Rows": a parameter has shape [] (one for the tensor) or [C] (one for each index of dimension 0).
// All throw NonFinite when x holds an infinity or NaN; on a GPU the output is NaN there instead.

class NonFinite : public Error {
 public:
  using Error::Error;
};

// Where the gradient passes, with v = (x - offset) / step.
enum class Edge {
  kInclusive,  // low <= v <= high
  kStrict,     // low < v < high
  kHalfOpen,   // low <= v < high
  kRounded     // low <= round(v) <= high
};

// y = round(clamp(v, low, high)) step / gain + offset with v = (x - offset) gain / step. The
// tensors are of one shape (rows).
struct AffineCode {
  torch::Tensor step;
  torch::Tensor low, high;  // integers
  torch::Tensor offset;     // undefined: 0
  Edge edge = Edge::kInclusive;
  double gain = 1;          // such as 2^b - 1 with the whole range as step, which keeps ties exact
  double output_scale = 1;  // y times this; offset must then be undefined
};

// Gradient of x only: g times `slope` where it passes.
torch::Tensor fake_quantize(const torch::Tensor& x, const AffineCode& code, double slope = 1);

// A learned clip: the gradient of alpha, shape [], is the sum of g above the clamp, plus low / high
// times the sum below it, plus 2 decay alpha (an L2 penalty of weight `decay`). `code` must be that
// of alpha.
torch::Tensor fake_quantize_clipped(const torch::Tensor& x, const torch::Tensor& alpha,
                                    const AffineCode& code, double decay);

// A learned step and, if defined, offset (of code.step's shape; code.step and code.offset are what
// gradients go to): step: g (round(v) - v) inside, g low or g high outside; offset: g outside; both
// times `gradient_scale`.
torch::Tensor fake_quantize_learned(const torch::Tensor& x, const AffineCode& code,
                                    double gradient_scale);

enum class Learned { kNothing, kClip, kStep };

// One of the three functions above with all but x. It can be handed to an operator that applies it
// on the way (layers/batch_norm_activation.h).
struct FakeQuantization {
  AffineCode code;
  Learned learned = Learned::kNothing;
  double slope = 1;           // kNothing
  torch::Tensor alpha;        // kClip
  double decay = 0;           // kClip
  double gradient_scale = 1;  // kStep
};
torch::Tensor fake_quantize(const torch::Tensor& x, const FakeQuantization& quantization);

// y = |x| > threshold ? magnitude sign(x) : 0 with sign(0) = 1; rows. With `clipped` the gradient
// passes where |x| < 1, otherwise everywhere.
torch::Tensor fake_quantize_sign(const torch::Tensor& x, const torch::Tensor& magnitude,
                                 const torch::Tensor& threshold, bool clipped);

// min(max(x, low), high), with a bit for each number instead of x kept for the backward pass. NaN
// stays NaN. The gradient passes strictly inside. (Not a quantizer, but of their kind: ReLU6.)
torch::Tensor clamp_with_mask(const torch::Tensor& x, double low, double high);

// How often each level was chosen, and the sum of the inputs that chose it; double, [C, L].
struct LevelStatistics {
  torch::Tensor hits, sums;
};

// The nearest of L = 2^k `levels` [C, L] (or [1, L] for all rows), each row rising; of two equally
// near ones the lower. The gradient passes between the outer levels if `clipped`, else everywhere.
// Fills `statistics` unless it is null.
torch::Tensor fake_quantize_levels(const torch::Tensor& x, const torch::Tensor& levels,
                                   bool clipped, LevelStatistics* statistics);

// Statistics of a tensor or of each index of dimension 0; float tensors of shape [] or [C].
struct TensorMoments {
  torch::Tensor min, max, mean, mean_abs;
  torch::Tensor rms;        // root mean square
  torch::Tensor deviation;  // standard deviation, of the numbers as a whole population
};
TensorMoments moments(const torch::Tensor& x, bool by_row);

// Mean of |x| over the numbers with |x| > threshold (0 where there are none); rows as threshold.
torch::Tensor mean_above(const torch::Tensor& x, const torch::Tensor& threshold);

}  // namespace ssdq
