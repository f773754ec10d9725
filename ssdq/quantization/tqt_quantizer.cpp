#include "ssdq/quantization/tqt_quantizer.h"

#include <cmath>

#include <torch/torch.h>

#include "ssdq/quantization/options.h"
#include "ssdq/quantization/range_quantizer.h"
#include "ssdq/quantization/rank_statistics.h"

namespace ssdq {
namespace {

class Tqt : public QuantizationMethod {
 public:
  explicit Tqt(bool scale_gradients) : scale_gradients_(scale_gradients) {}

  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    return make(spec, "weights", {2, 16}, true);
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    return make(spec, "activations", {spec.is_signed ? 2 : 1, 16}, false);
  }

 private:
  QuantizerPtr make(const TensorSpec& spec, const char* what, Widths widths, bool is_weight) const {
    return is_quantized(spec, "tqt", what, widths)
               ? std::make_shared<TqtQuantizerImpl>(spec, TqtOptions{is_weight, scale_gradients_})
               : nullptr;
  }

  bool scale_gradients_;
};

}  // namespace

TqtQuantizerImpl::TqtQuantizerImpl(TensorSpec spec, const TqtOptions& options)
    : RangedQuantizerImpl(std::move(spec)), options_(options) {
  log2_t_ = register_parameter("log2_t", torch::zeros({}));
}

void TqtQuantizerImpl::observe(const torch::Tensor& x) {
  if (observation() == Observation::kNothing) {
    return;
  }
  const TensorMoments found = moments(x, false);
  torch::Tensor t = 3 * found.rms;
  if (!options_.is_weight) {
    const auto [min, max] = batch_extremes(found.min, found.max);
    t = torch::maximum(-min, max);
  }
  t = torch::where(t > 0, t, torch::ones_like(t));
  const torch::Tensor so_far = torch::exp2(log2_t_);
  count_observation();
  log2_t_.copy_(torch::log2(so_far.lerp(t, observation_weight())));
}

AffineCode TqtQuantizerImpl::code() const {
  const bool is_signed = spec().is_signed;
  const double half = std::exp2(spec().bits - 1);
  // 2^ceil(log2 t), with the derivative of 2^log2 t at the rounded exponent.
  const torch::Tensor exponent = log2_t_ + (log2_t_.ceil() - log2_t_).detach();
  AffineCode code;
  code.step = torch::exp2(exponent) / (is_signed ? half : 2 * half);
  const auto options = log2_t_.options().requires_grad(false);
  code.low = torch::full({}, is_signed ? -half : 0, options);
  code.high = torch::full({}, (is_signed ? half : 2 * half) - 1, options);
  code.edge = Edge::kRounded;
  return code;
}

std::optional<FakeQuantization> TqtQuantizerImpl::affine(c10::IntArrayRef sizes) const {
  require_range();
  FakeQuantization result;
  result.code = code();
  result.learned = Learned::kStep;
  if (options_.scale_gradients) {
    const int64_t count = c10::multiply_integers(sizes);
    const auto sharing = static_cast<double>(options_.is_weight ? count : count / sizes[0]);
    const double high = std::exp2(spec().bits - (spec().is_signed ? 1 : 0)) - 1;
    result.gradient_scale = 1 / std::sqrt(sharing * high);
  }
  return result;
}

torch::Tensor TqtQuantizerImpl::quantize(const torch::Tensor& x) {
  return fake_quantize(x, *affine(x.sizes()));
}

Observation TqtQuantizerImpl::observation() const {
  return has_range() && mode().quantize ? Observation::kNothing : Observation::kTensor;
}

QuantizerReport TqtQuantizerImpl::report() const {
  const torch::NoGradGuard no_grad;
  return {spec().bits,
          granularity_text(false, spec().is_signed ? "learned power-of-two step, signed"
                                                   : "learned power-of-two step, unsigned"),
          has_range() ? range_text(code()) : ""};
}

std::shared_ptr<QuantizationMethod> make_tqt(const QuantizationConfig& config) {
  OptionReader reader("tqt", config.options);
  const bool scale_gradients = reader.flag("GRADIENT_SCALE", true);
  reader.finish();
  return std::make_shared<Tqt>(scale_gradients);
}

}  // namespace ssdq
