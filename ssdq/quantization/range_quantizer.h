#pragma once

#include <memory>
#include <optional>

#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/ranged_quantizer.h"

namespace ssdq {

struct RangeOptions {
  bool by_channel = true;      // weights: a range for each output channel
  bool symmetric = true;       // of a signed tensor: zero point 0
  bool power_of_two = false;   // the step is rounded up to a power of two
  bool always_signed = false;  // activations: codes symmetric about 0 whatever their sign
  double momentum = 0.1;       // activations: weight of the newest batch in the moving extremes
};

// Affine fake quantization with the extremes of the weight itself, in training and evaluation.
// Symmetric: step = max|w| / (2^(b-1) - 1), so that nothing is clipped. Affine: codes 0 .. 2^b - 1,
// step = (max - min) / (2^b - 1), zero point round(-min / step), with 0 inside [min, max].
class RangeWeightQuantizerImpl : public QuantizerImpl {
 public:
  RangeWeightQuantizerImpl(TensorSpec spec, const RangeOptions& options)
      : QuantizerImpl(std::move(spec)), options_(options) {}

  QuantizerReport report() const override;
  std::optional<AffineCode> value_code(const torch::Tensor& w) const override;

 protected:
  torch::Tensor quantize(const torch::Tensor& w) override;

 private:
  RangeOptions options_;
};

// The same for activations, one range for the tensor: moving averages of batch minimum and maximum,
// which the first batch sets outright; buffers "min" and "max". Unsigned: codes 0 .. 2^b - 1, step
// = max / (2^b - 1). Symmetric: codes -2^(b-1) .. 2^(b-1) - 1, step = max(|min|, |max|) / (2^(b-1)
// - 1); always_signed has the same step and -(2^(b-1) - 1) as the least code. The gradient passes
// inside the clamp.
class RangeActivationQuantizerImpl : public RangedQuantizerImpl {
 public:
  RangeActivationQuantizerImpl(TensorSpec spec, const RangeOptions& options);

  QuantizerReport report() const override;
  bool set_range(double magnitude) override;

 protected:
  void observe(const torch::Tensor& x) override;
  torch::Tensor quantize(const torch::Tensor& x) override;
  std::optional<FakeQuantization> affine(c10::IntArrayRef sizes) const override;
  Observation observation() const override { return Observation::kExtremes; }
  void follow(const torch::Tensor& min, const torch::Tensor& max) override;

 private:
  AffineCode code() const;

  RangeOptions options_;
  torch::Tensor min_, max_;
};

// Names for reports: "per channel" or "per tensor", and what the codes are.
std::string granularity_text(bool by_channel, const char* codes);
// "[-0.5, 0.498]", the widest over the rows.
std::string range_text(const AffineCode& code);

// TYPE uniform: plain affine fake quantization. OPTIONS: WEIGHT_GRANULARITY (channel, tensor),
// ACTIVATION_SYMMETRIC (true), ACTIVATION_CODES (auto, signed: the same codes as weights, -127..127
// at 8 bits, as ncnn and TensorRT have them), POWER_OF_TWO (false), MOMENTUM (0.1).
std::shared_ptr<QuantizationMethod> make_uniform(const QuantizationConfig& config);

// TYPE iao: integer-arithmetic-only quantization. OPTIONS: SYMMETRIC (true: weights and signed
// activations), MOMENTUM (0.1), WEIGHT_GRANULARITY (channel, tensor), FOLD (one_pass, two_pass).
//
// The network is meant to run with batch norm folded into the weights, so the folded weight is what
// must be quantized. two_pass does as the paper says: a first convolution with the float weight
// gives the batch statistics, a second one has the quantized folded weight. one_pass uses that a
// symmetric range by channel is scale-equivariant, Q(c w) = c Q(w): the scale of the batch norm,
// gamma / sqrt(sigma^2 + eps), leaves the quantizer, and one convolution with Q(w) followed by
// batch norm computes the same function as the folded one, without dividing by a gamma near zero.
// Difference from the paper: the batch statistics are those of the quantized convolution.
// WEIGHT_GRANULARITY tensor and SYMMETRIC false use two_pass (and refuse one_pass, ConfigError).
//
// Paper: Jacob et al., CVPR 2018, arXiv:1712.05877, sections 3 and 3.2.
std::shared_ptr<QuantizationMethod> make_iao(const QuantizationConfig& config);

}  // namespace ssdq
