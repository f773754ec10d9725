#pragma once

#include <memory>
#include <optional>

#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/ranged_quantizer.h"

namespace ssdq {

struct PactOptions {
  double alpha = 0;       // initial clip; 0: the running mean of the largest magnitudes of batches
  double decay = 2.5e-4;  // weight of the penalty alpha^2
};

// Activations clipped at a learned alpha (parameter "alpha"): y = round(clamp(x, 0, alpha) n /
// alpha) alpha / n with n = 2^b - 1. The gradient of x passes below alpha; that of alpha is the sum
// of g where x >= alpha, and that of the penalty.
//
// Paper: Choi et al., PACT, arXiv:1805.06085.
// Departure: a signed input is clipped on both sides, at -alpha and alpha, with n = 2^(b-1) - 1.
class PactActivationQuantizerImpl : public RangedQuantizerImpl {
 public:
  PactActivationQuantizerImpl(TensorSpec spec, const PactOptions& options);

  QuantizerReport report() const override;

 protected:
  void observe(const torch::Tensor& x) override;
  torch::Tensor quantize(const torch::Tensor& x) override;
  std::optional<FakeQuantization> affine(c10::IntArrayRef sizes) const override;
  Observation observation() const override;

 private:
  AffineCode code() const;

  PactOptions options_;
  torch::Tensor alpha_;
};

// TYPE pact: PACT activations, DoReFa weights. OPTIONS: ALPHA (0), DECAY (2.5e-4).
std::shared_ptr<QuantizationMethod> make_pact(const QuantizationConfig& config);

}  // namespace ssdq
