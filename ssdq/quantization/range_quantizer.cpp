#include "ssdq/quantization/range_quantizer.h"

#include <cmath>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/quantization/options.h"
#include "ssdq/quantization/rank_statistics.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// A range of zero width gets the step 1.
torch::Tensor finished_step(torch::Tensor step, bool power_of_two) {
  step = torch::where(step > 0, step, torch::ones_like(step));
  return power_of_two ? torch::exp2(torch::ceil(torch::log2(step))) : step;
}

AffineCode symmetric_code(const torch::Tensor& largest, double low, double high,
                          bool power_of_two) {
  AffineCode code;
  code.step = finished_step(largest / high, power_of_two);
  code.low = torch::full_like(code.step, low);
  code.high = torch::full_like(code.step, high);
  return code;
}

AffineCode affine_code(const torch::Tensor& min, const torch::Tensor& max, int bits,
                       bool power_of_two) {
  const torch::Tensor low = min.clamp_max(0), high = max.clamp_min(0);
  const double levels = std::exp2(bits) - 1;
  AffineCode code;
  code.step = finished_step((high - low) / levels, power_of_two);
  const torch::Tensor zero_point = (-low / code.step).round().clamp(0, levels);
  code.low = -zero_point;
  code.high = levels - zero_point;
  return code;
}

AffineCode weight_code(const TensorMoments& found, int bits, const RangeOptions& options) {
  if (!options.symmetric) {
    return affine_code(found.min, found.max, bits, options.power_of_two);
  }
  const double high = std::exp2(bits - 1) - 1;
  return symmetric_code(torch::maximum(-found.min, found.max), -high, high, options.power_of_two);
}

class RangeMethod : public QuantizationMethod {
 public:
  RangeMethod(std::string name, const RangeOptions& options, BatchNormFolding folding)
      : name_(std::move(name)), options_(options), folding_(folding) {}

  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    if (!is_quantized(spec, name_, "weights", {2, 16})) {
      return nullptr;
    }
    RangeOptions options = options_;
    options.symmetric = options.symmetric || name_ == "uniform";
    return std::make_shared<RangeWeightQuantizerImpl>(spec, options);
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    const bool has_sign = name_ == "iao" || spec.is_signed || options_.always_signed;
    if (!is_quantized(spec, name_, "activations", {has_sign ? 2 : 1, 16})) {
      return nullptr;
    }
    return std::make_shared<RangeActivationQuantizerImpl>(spec, options_);
  }

  BatchNormFolding batch_norm_folding() const override { return folding_; }

 private:
  std::string name_;
  RangeOptions options_;
  BatchNormFolding folding_;
};

}  // namespace

std::optional<AffineCode> RangeWeightQuantizerImpl::value_code(const torch::Tensor& w) const {
  const torch::NoGradGuard no_grad;
  AffineCode code = weight_code(moments(w.detach(), options_.by_channel), spec().bits, options_);
  // Nothing lies outside but by rounding.
  code.edge = Edge::kRounded;
  return code;
}

torch::Tensor RangeWeightQuantizerImpl::quantize(const torch::Tensor& w) {
  return fake_quantize(w, *value_code(w));
}

QuantizerReport RangeWeightQuantizerImpl::report() const {
  return {spec().bits,
          granularity_text(options_.by_channel, options_.symmetric ? "symmetric" : "affine"),
          "extremes of the weight"};
}

RangeActivationQuantizerImpl::RangeActivationQuantizerImpl(TensorSpec spec,
                                                           const RangeOptions& options)
    : RangedQuantizerImpl(std::move(spec)), options_(options) {
  min_ = register_buffer("min", torch::zeros({}));
  max_ = register_buffer("max", torch::zeros({}));
}

void RangeActivationQuantizerImpl::observe(const torch::Tensor& x) {
  const TensorMoments found = moments(x, false);
  follow(found.min, found.max);
}

void RangeActivationQuantizerImpl::follow(const torch::Tensor& min, const torch::Tensor& max) {
  const double weight = has_range() ? options_.momentum : 1.0;
  const auto [low, high] = batch_extremes(min, max);
  min_.lerp_(low, weight);
  max_.lerp_(high, weight);
  count_observation();
}

bool RangeActivationQuantizerImpl::set_range(double magnitude) {
  const torch::NoGradGuard no_grad;
  min_.fill_(spec().is_signed ? -magnitude : 0);
  max_.fill_(magnitude);
  count_observation();
  return true;
}

AffineCode RangeActivationQuantizerImpl::code() const {
  const int bits = spec().bits;
  if (options_.always_signed) {
    const double high = std::exp2(bits - 1) - 1;
    return symmetric_code(torch::maximum(-min_, max_), -high, high, options_.power_of_two);
  }
  if (!spec().is_signed) {
    return symmetric_code(max_, 0, std::exp2(bits) - 1, options_.power_of_two);
  }
  if (!options_.symmetric) {
    return affine_code(min_, max_, bits, options_.power_of_two);
  }
  AffineCode code = symmetric_code(torch::maximum(-min_, max_), 0, std::exp2(bits - 1) - 1,
                                   options_.power_of_two);
  code.low.fill_(-std::exp2(bits - 1));
  return code;
}

std::optional<FakeQuantization> RangeActivationQuantizerImpl::affine(
    c10::IntArrayRef /*sizes*/) const {
  require_range();
  FakeQuantization result;
  result.code = code();
  return result;
}

torch::Tensor RangeActivationQuantizerImpl::quantize(const torch::Tensor& x) {
  return fake_quantize(x, *affine(x.sizes()));
}

QuantizerReport RangeActivationQuantizerImpl::report() const {
  const char* codes = options_.always_signed ? "symmetric"
                      : !spec().is_signed    ? "unsigned"
                      : options_.symmetric   ? "symmetric"
                                             : "affine";
  return {spec().bits, granularity_text(false, codes), has_range() ? range_text(code()) : ""};
}

std::string granularity_text(bool by_channel, const char* codes) {
  return fmt::format("per {}, {}", by_channel ? "channel" : "tensor", codes);
}

std::string range_text(const AffineCode& code) {
  const double unit = 1 / code.gain;
  torch::Tensor low = code.low * code.step * unit, high = code.high * code.step * unit;
  if (code.offset.defined()) {
    low = low + code.offset;
    high = high + code.offset;
  }
  return fmt::format("[{:.4g}, {:.4g}]", low.min().item<double>() * code.output_scale,
                     high.max().item<double>() * code.output_scale);
}

std::shared_ptr<QuantizationMethod> make_uniform(const QuantizationConfig& config) {
  OptionReader reader("uniform", config.options);
  RangeOptions options;
  options.by_channel =
      reader.choice("WEIGHT_GRANULARITY", "channel", {"channel", "tensor"}) == "channel";
  options.symmetric = reader.flag("ACTIVATION_SYMMETRIC", true);
  options.always_signed = reader.choice("ACTIVATION_CODES", "auto", {"auto", "signed"}) == "signed";
  SSDQ_CHECK_CONFIG(
      options.symmetric || !options.always_signed,
      "QUANTIZATION.OPTIONS: ACTIVATION_CODES signed are symmetric about 0; leave out "
      "ACTIVATION_SYMMETRIC false");
  options.power_of_two = reader.flag("POWER_OF_TWO", false);
  options.momentum = reader.number("MOMENTUM", 0.1, 1e-6, 1);
  reader.finish();
  return std::make_shared<RangeMethod>("uniform", options, BatchNormFolding::kNone);
}

std::shared_ptr<QuantizationMethod> make_iao(const QuantizationConfig& config) {
  OptionReader reader("iao", config.options);
  RangeOptions options;
  options.by_channel =
      reader.choice("WEIGHT_GRANULARITY", "channel", {"channel", "tensor"}) == "channel";
  options.symmetric = reader.flag("SYMMETRIC", true);
  options.momentum = reader.number("MOMENTUM", 0.1, 1e-6, 1);
  const bool scales = options.by_channel && options.symmetric;
  const bool one_pass = reader.choice("FOLD", scales ? "one_pass" : "two_pass",
                                      {"one_pass", "two_pass"}) == "one_pass";
  reader.finish();
  SSDQ_CHECK_CONFIG(!one_pass || scales,
                    "QUANTIZATION.OPTIONS: one pass folds batch norm only into weights with "
                    "symmetric ranges by channel; add FOLD: two_pass");
  return std::make_shared<RangeMethod>(
      "iao", options, one_pass ? BatchNormFolding::kNone : BatchNormFolding::kTwoPass);
}

}  // namespace ssdq
