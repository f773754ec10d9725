#pragma once

#include <memory>
#include <optional>

#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/ranged_quantizer.h"

namespace ssdq {

enum class StepStart {
  kMeanMagnitude,  // 2 mean|x| / sqrt(p)
  kThreeSigma,     // max(|mean - 3 sigma|, |mean + 3 sigma|) / 2^(b-1)
  kExtremes        // step and offset cover the minimum and the maximum
};

struct LearnedStepOptions {
  bool is_weight = true;
  bool by_channel = false;
  bool with_offset = false;
  bool scale_gradients = true;
  StepStart start = StepStart::kMeanMagnitude;
};

// y = s round(clamp((x - o) / s, n, p)) + o with a learned step s and, with_offset, a learned
// offset o; parameters "step" and "offset", [] or [C]. Codes: n = -2^(b-1), p = 2^(b-1) - 1, or 0
// .. 2^b - 1 for an unsigned input without offset. Gradients as fake_quantize_learned, times 1 /
// sqrt(N p), N the numbers that share a step (of activations: those of one image). The first data
// set both; a running mean over the batches while quantization is off.
//
// Papers: Esser et al., LSQ, ICLR 2020, arXiv:1902.08153; Bhalgat et al., LSQ+, arXiv:2004.09576.
// Departure: a step is never taken below 1e-8, whatever the parameter holds.
class LearnedStepQuantizerImpl : public RangedQuantizerImpl {
 public:
  LearnedStepQuantizerImpl(TensorSpec spec, const LearnedStepOptions& options);

  QuantizerReport report() const override;

 protected:
  void observe(const torch::Tensor& x) override;
  torch::Tensor quantize(const torch::Tensor& x) override;
  std::optional<FakeQuantization> affine(c10::IntArrayRef sizes) const override;
  Observation observation() const override;
  void convert(int from, int to) override;

 private:
  AffineCode code() const;

  LearnedStepOptions options_;
  torch::Tensor step_, offset_;
};

// TYPE lsq. OPTIONS: WEIGHT_GRANULARITY (tensor, channel), GRADIENT_SCALE (true).
std::shared_ptr<QuantizationMethod> make_lsq(const QuantizationConfig& config);

// TYPE lsq_plus: lsq with an offset for activations and other initial steps. The same OPTIONS.
std::shared_ptr<QuantizationMethod> make_lsq_plus(const QuantizationConfig& config);

}  // namespace ssdq
