#include "ssdq/quantization/bwn_quantizer.h"

#include <torch/torch.h>

#include "ssdq/quantization/fake_quantize.h"
#include "ssdq/quantization/options.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr int kBinary = 2;
constexpr int kTernary = 3;

bool is_float(const TensorSpec& spec) { return spec.bits == 16 || spec.bits == 32; }

void refuse_width(const TensorSpec& spec, int bits) {
  SSDQ_CHECK_CONFIG(bits == spec.bits,
                    "{}: bwn cannot change its width in training; leave QUANTIZATION.PROGRESSIVE "
                    "empty",
                    spec.node);
}

class Bwn : public QuantizationMethod {
 public:
  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    SSDQ_CHECK_CONFIG(is_float(spec) || spec.bits == kBinary || spec.bits == kTernary,
                      "{}: WBITS of bwn counts levels: 2 (binary), 3 (ternary), or 16 or 32 for "
                      "float, got {}",
                      spec.node, spec.bits);
    return is_float(spec) ? nullptr : std::make_shared<LevelWeightQuantizerImpl>(spec);
  }

  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    SSDQ_CHECK_CONFIG(is_float(spec) || spec.bits == kBinary,
                      "{}: ABITS of bwn counts levels: 2 (-1 and 1), or 16 or 32 for float, got {}",
                      spec.node, spec.bits);
    return is_float(spec) ? nullptr : std::make_shared<SignActivationQuantizerImpl>(spec);
  }

  bool skips_relu(int abits) const override { return abits == kBinary; }
};

}  // namespace

std::pair<torch::Tensor, torch::Tensor> LevelWeightQuantizerImpl::threshold_and_magnitude(
    const torch::Tensor& w) const {
  const torch::NoGradGuard no_grad;
  const torch::Tensor mean = moments(w.detach(), true).mean_abs;
  if (spec().bits == kBinary) {
    return {torch::full_like(mean, -1), mean};
  }
  const torch::Tensor threshold = 0.7 * mean;
  return {threshold, mean_above(w.detach(), threshold)};
}

torch::Tensor LevelWeightQuantizerImpl::quantize(const torch::Tensor& w) {
  const auto [threshold, magnitude] = threshold_and_magnitude(w);
  return fake_quantize_sign(w, magnitude, threshold, false);
}

std::optional<AffineCode> LevelWeightQuantizerImpl::value_code(const torch::Tensor& w) const {
  const torch::Tensor magnitude = threshold_and_magnitude(w).second;
  const bool is_binary = spec().bits == kBinary;
  AffineCode code;
  code.step = is_binary ? 2 * magnitude : magnitude;
  code.low = torch::full_like(magnitude, is_binary ? 0 : -1);
  code.high = torch::ones_like(magnitude);
  if (is_binary) {
    code.offset = -magnitude;
  }
  return code;
}

void LevelWeightQuantizerImpl::set_bits(int bits) { refuse_width(spec(), bits); }

void SignActivationQuantizerImpl::set_bits(int bits) { refuse_width(spec(), bits); }

QuantizerReport LevelWeightQuantizerImpl::report() const {
  return {spec().bits == kBinary ? 1 : 2,
          spec().bits == kBinary ? "per channel, binary" : "per channel, ternary",
          "mean magnitudes of the weight"};
}

torch::Tensor SignActivationQuantizerImpl::quantize(const torch::Tensor& x) {
  const auto options = torch::TensorOptions(torch::kFloat).device(x.device());
  return fake_quantize_sign(x, torch::full({}, 1, options), torch::full({}, -1, options), true);
}

QuantizerReport SignActivationQuantizerImpl::report() const {
  return {1, "per tensor, sign", "[-1, 1]"};
}

std::shared_ptr<QuantizationMethod> make_bwn(const QuantizationConfig& config) {
  OptionReader("bwn", config.options).finish();
  return std::make_shared<Bwn>();
}

}  // namespace ssdq
