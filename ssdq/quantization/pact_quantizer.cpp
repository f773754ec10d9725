#include "ssdq/quantization/pact_quantizer.h"

#include <cmath>

#include <torch/torch.h>

#include "ssdq/quantization/dorefa_quantizer.h"
#include "ssdq/quantization/options.h"
#include "ssdq/quantization/range_quantizer.h"
#include "ssdq/quantization/rank_statistics.h"

namespace ssdq {
namespace {

class Pact : public QuantizationMethod {
 public:
  explicit Pact(const PactOptions& options) : options_(options) {}

  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    return is_quantized(spec, "pact", "weights", {2, 16})
               ? std::make_shared<DoReFaWeightQuantizerImpl>(spec)
               : nullptr;
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    return is_quantized(spec, "pact", "activations", {spec.is_signed ? 2 : 1, 16})
               ? std::make_shared<PactActivationQuantizerImpl>(spec, options_)
               : nullptr;
  }

 private:
  PactOptions options_;
};

}  // namespace

PactActivationQuantizerImpl::PactActivationQuantizerImpl(TensorSpec spec,
                                                         const PactOptions& options)
    : RangedQuantizerImpl(std::move(spec)), options_(options) {
  alpha_ = register_parameter("alpha", torch::full({}, options.alpha > 0 ? options.alpha : 1));
}

void PactActivationQuantizerImpl::observe(const torch::Tensor& x) {
  if (observation() == Observation::kNothing) {
    return;
  }
  count_observation();
  if (options_.alpha > 0) {
    return;
  }
  const double weight = observation_weight();
  const TensorMoments found = moments(x, false);
  const auto [min, max] = batch_extremes(found.min, found.max);
  const torch::Tensor largest = torch::maximum(-min, max);
  alpha_.lerp_(torch::where(largest > 0, largest, torch::ones_like(largest)), weight);
}

AffineCode PactActivationQuantizerImpl::code() const {
  const double high = std::exp2(spec().bits - (spec().is_signed ? 1 : 0)) - 1;
  const torch::NoGradGuard no_grad;
  AffineCode code;
  code.step = alpha_.detach().clamp_min(1e-8);
  code.gain = high;
  code.low = torch::full_like(code.step, spec().is_signed ? -high : 0);
  code.high = torch::full_like(code.step, high);
  code.edge = spec().is_signed ? Edge::kStrict : Edge::kHalfOpen;
  return code;
}

std::optional<FakeQuantization> PactActivationQuantizerImpl::affine(
    c10::IntArrayRef /*sizes*/) const {
  require_range();
  FakeQuantization result;
  result.code = code();
  result.learned = Learned::kClip;
  result.alpha = alpha_;
  result.decay = options_.decay / ranks_of_batch();
  return result;
}

torch::Tensor PactActivationQuantizerImpl::quantize(const torch::Tensor& x) {
  return fake_quantize(x, *affine(x.sizes()));
}

Observation PactActivationQuantizerImpl::observation() const {
  return has_range() && mode().quantize ? Observation::kNothing : Observation::kTensor;
}

QuantizerReport PactActivationQuantizerImpl::report() const {
  return {
      spec().bits,
      granularity_text(false, spec().is_signed ? "learned clip, signed" : "learned clip, unsigned"),
      has_range() ? range_text(code()) : ""};
}

std::shared_ptr<QuantizationMethod> make_pact(const QuantizationConfig& config) {
  OptionReader reader("pact", config.options);
  PactOptions options;
  options.alpha = reader.number("ALPHA", 0, 0, 1e6);
  options.decay = reader.number("DECAY", 2.5e-4, 0, 1);
  reader.finish();
  return std::make_shared<Pact>(options);
}

}  // namespace ssdq
