#include "ssdq/quantization/learned_step_quantizer.h"

#include <cmath>

#include <torch/torch.h>

#include "ssdq/quantization/options.h"
#include "ssdq/quantization/range_quantizer.h"
#include "ssdq/quantization/rank_statistics.h"

namespace ssdq {
namespace {

struct Codes {
  double low, high;
};

Codes codes(const TensorSpec& spec, bool with_offset, int bits) {
  if (!spec.is_signed && !with_offset) {
    return {0, std::exp2(bits) - 1};
  }
  return {-std::exp2(bits - 1), std::exp2(bits - 1) - 1};
}

torch::Tensor nonzero_step(const torch::Tensor& step) {
  return torch::where(step > 0, step, torch::ones_like(step));
}

LearnedStepOptions weight_options(const std::string& method, const QuantizationConfig& config) {
  OptionReader reader(method, config.options);
  LearnedStepOptions options;
  options.by_channel =
      reader.choice("WEIGHT_GRANULARITY", "tensor", {"tensor", "channel"}) == "channel";
  options.scale_gradients = reader.flag("GRADIENT_SCALE", true);
  reader.finish();
  return options;
}

LearnedStepOptions activation_options(LearnedStepOptions options) {
  options.is_weight = false;
  options.by_channel = false;
  return options;
}

class LearnedStepMethod : public QuantizationMethod {
 public:
  LearnedStepMethod(std::string name, const LearnedStepOptions& weights,
                    const LearnedStepOptions& activations)
      : name_(std::move(name)), weights_(weights), activations_(activations) {}

  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    if (!is_quantized(spec, name_, "weights", {2, 16})) {
      return nullptr;
    }
    return std::make_shared<LearnedStepQuantizerImpl>(spec, weights_);
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    const bool one_bit = !spec.is_signed && !activations_.with_offset;
    if (!is_quantized(spec, name_, "activations", {one_bit ? 1 : 2, 16})) {
      return nullptr;
    }
    return std::make_shared<LearnedStepQuantizerImpl>(spec, activations_);
  }

 private:
  std::string name_;
  LearnedStepOptions weights_, activations_;
};

}  // namespace

LearnedStepQuantizerImpl::LearnedStepQuantizerImpl(TensorSpec spec,
                                                   const LearnedStepOptions& options)
    : RangedQuantizerImpl(std::move(spec)), options_(options) {
  const std::vector<int64_t> shape(options.by_channel ? 1 : 0, this->spec().channels);
  step_ = register_parameter("step", torch::ones(shape));
  if (options.with_offset) {
    offset_ = register_parameter("offset", torch::zeros(shape));
  }
}

void LearnedStepQuantizerImpl::observe(const torch::Tensor& x) {
  if (observation() == Observation::kNothing) {
    return;
  }
  const TensorMoments found =
      options_.is_weight ? moments(x, options_.by_channel) : batch_moments(x, options_.by_channel);
  const Codes range = codes(spec(), options_.with_offset, spec().bits);
  torch::Tensor step;
  switch (options_.start) {
    case StepStart::kMeanMagnitude:
      step = 2 * found.mean_abs / std::sqrt(range.high);
      break;
    case StepStart::kThreeSigma: {
      const torch::Tensor spread = 3 * found.deviation;
      step = torch::maximum((found.mean - spread).abs(), (found.mean + spread).abs()) / -range.low;
      break;
    }
    case StepStart::kExtremes:
      step = (found.max - found.min) / (range.high - range.low);
      break;
  }
  step = nonzero_step(step);
  count_observation();
  const double weight = observation_weight();
  step_.lerp_(step, weight);
  if (options_.with_offset) {
    offset_.lerp_(found.min - step * range.low, weight);
  }
}

AffineCode LearnedStepQuantizerImpl::code() const {
  const Codes range = codes(spec(), options_.with_offset, spec().bits);
  constexpr double kLeastStep = 1e-8;
  AffineCode code;
  code.step = step_ + (step_.clamp_min(kLeastStep) - step_).detach();
  code.offset = offset_;
  code.low = torch::full({}, range.low, step_.options().requires_grad(false));
  code.high = torch::full({}, range.high, step_.options().requires_grad(false));
  code.edge = Edge::kStrict;
  return code;
}

std::optional<FakeQuantization> LearnedStepQuantizerImpl::affine(c10::IntArrayRef sizes) const {
  require_range();
  FakeQuantization result;
  result.code = code();
  result.learned = Learned::kStep;
  if (options_.scale_gradients) {
    const int64_t count = c10::multiply_integers(sizes);
    const auto sharing =
        static_cast<double>(count / (options_.is_weight ? step_.numel() : sizes[0]));
    result.gradient_scale =
        1 / std::sqrt(sharing * codes(spec(), options_.with_offset, spec().bits).high);
  }
  return result;
}

torch::Tensor LearnedStepQuantizerImpl::quantize(const torch::Tensor& x) {
  return fake_quantize(x, *affine(x.sizes()));
}

Observation LearnedStepQuantizerImpl::observation() const {
  return has_range() && mode().quantize ? Observation::kNothing : Observation::kTensor;
}

void LearnedStepQuantizerImpl::convert(int from, int to) {
  const Codes before = codes(spec(), options_.with_offset, from);
  const Codes after = codes(spec(), options_.with_offset, to);
  if (options_.with_offset) {
    const torch::Tensor low = offset_ + step_ * before.low;
    step_.mul_((before.high - before.low) / (after.high - after.low));
    offset_.copy_(low - step_ * after.low);
  } else {
    step_.mul_(before.high / after.high);
  }
}

QuantizerReport LearnedStepQuantizerImpl::report() const {
  const char* kind = options_.with_offset ? "learned step and offset"
                     : spec().is_signed   ? "learned step, signed"
                                          : "learned step, unsigned";
  const torch::NoGradGuard no_grad;
  return {spec().bits, granularity_text(options_.by_channel, kind),
          has_range() ? range_text(code()) : ""};
}

std::shared_ptr<QuantizationMethod> make_lsq(const QuantizationConfig& config) {
  const LearnedStepOptions weights = weight_options("lsq", config);
  return std::make_shared<LearnedStepMethod>("lsq", weights, activation_options(weights));
}

std::shared_ptr<QuantizationMethod> make_lsq_plus(const QuantizationConfig& config) {
  LearnedStepOptions weights = weight_options("lsq_plus", config);
  weights.start = StepStart::kThreeSigma;
  LearnedStepOptions activations = activation_options(weights);
  activations.with_offset = true;
  activations.start = StepStart::kExtremes;
  return std::make_shared<LearnedStepMethod>("lsq_plus", weights, activations);
}

}  // namespace ssdq
