#pragma once

#include <memory>
#include <optional>

#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/ranged_quantizer.h"

namespace ssdq {

struct TqtOptions {
  bool is_weight = true;
  bool scale_gradients = true;
};

// One learned threshold t for the tensor, its step a power of two: y = s round(clamp(x / s, n, p))
// with s = 2^ceil(log2 t) / 2^(b-1), n = -2^(b-1), p = 2^(b-1) - 1; unsigned: s = 2^ceil(log2 t) /
// 2^b, codes 0 .. 2^b - 1. Parameter "log2_t". The gradient of x passes where the code is not
// clipped; that of log2 t is s ln 2 times that of the step, the rounding up passed straight
// through. Initial t: three root mean squares of a weight, the running mean of the largest
// magnitudes of activations.
//
// Paper: Jain et al., Trained Quantization Thresholds, MLSys 2020, arXiv:1903.08066.
// Departure: scale_gradients multiplies the gradient of log2 t by 1 / sqrt(N p) as LSQ does, for
// optimizers without a normalisation of their own.
class TqtQuantizerImpl : public RangedQuantizerImpl {
 public:
  TqtQuantizerImpl(TensorSpec spec, const TqtOptions& options);

  QuantizerReport report() const override;

 protected:
  void observe(const torch::Tensor& x) override;
  torch::Tensor quantize(const torch::Tensor& x) override;
  std::optional<FakeQuantization> affine(c10::IntArrayRef sizes) const override;
  Observation observation() const override;

 private:
  AffineCode code() const;

  TqtOptions options_;
  torch::Tensor log2_t_;
};

// TYPE tqt. OPTIONS: GRADIENT_SCALE (true).
std::shared_ptr<QuantizationMethod> make_tqt(const QuantizationConfig& config);

}  // namespace ssdq
