#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "ssdq/quantization/quantizer.h"

namespace ssdq {

// Weights of any shape onto the 2^k values 2 i / (2^k - 1) - 1, i = 0 .. 2^k - 1:
// q = 2 round((tanh w / (2 max|tanh w|) + 1/2) (2^k - 1)) / (2^k - 1) - 1, one maximum for the
// tensor. The gradient passes the rounding and flows through tanh and the maximum (its first
// place).
//
// Paper: Zhou et al., DoReFa-Net, arXiv:1606.06160, equation 9.
// Departure: a tensor of zeros uses 1 as its maximum instead of dividing by zero.
class DoReFaWeightQuantizerImpl : public QuantizerImpl {
 public:
  using QuantizerImpl::QuantizerImpl;  // 2..16 bits

  QuantizerReport report() const override;
  std::optional<AffineCode> value_code(const torch::Tensor& w) const override;

 protected:
  torch::Tensor quantize(const torch::Tensor& w) override;
};

struct DoReFaActivationOptions {
  double scale = 0.1;           // inputs up to 1 / scale are kept apart
  bool rescale_output = false;  // divide by scale again, so that the output approximates the input
};

// Activations of any shape onto round(clamp(scale x, 0, 1) n) / n with n = 2^k - 1. The gradient is
// `scale` inside the clamp and 0 outside it (times 1 / scale with rescale_output).
//
// Paper: Zhou et al., DoReFa-Net, arXiv:1606.06160, equations 5 and 11.
// Departure: a signed input is clamped to [-1, 1] and uses n = 2^(k-1) - 1; the published form
// would set the negative half of a linear bottleneck to zero.
class DoReFaActivationQuantizerImpl : public QuantizerImpl {
 public:
  DoReFaActivationQuantizerImpl(TensorSpec spec, const DoReFaActivationOptions& options)
      : QuantizerImpl(std::move(spec)), options_(options) {}

  QuantizerReport report() const override;

 protected:
  torch::Tensor quantize(const torch::Tensor& x) override;
  std::optional<FakeQuantization> affine(c10::IntArrayRef sizes) const override;
  Observation observation() const override { return Observation::kNothing; }

 private:
  DoReFaActivationOptions options_;
};

// DoReFa as a method. QUANTIZATION.OPTIONS may set ACTIVATION_SCALE (0.1) and RESCALE_OUTPUT
// (false); other keys throw ConfigError, as does a width that is neither 2..16 nor 32.
std::shared_ptr<QuantizationMethod> make_dorefa(const QuantizationConfig& config);

}  // namespace ssdq
