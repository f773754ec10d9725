#include "log2_quantizer.h"

#include <cmath>

#include <torch/torch.h>

#include "ssdq/quantization/options.h"
#include "ssdq/quantization/range_quantizer.h"

namespace {

class Log2 : public ssdq::QuantizationMethod {
 public:
  explicit Log2(std::shared_ptr<ssdq::QuantizationMethod> uniform) : uniform_(std::move(uniform)) {}

  ssdq::QuantizerPtr weight_quantizer(const ssdq::TensorSpec& spec) const override {
    return ssdq::is_quantized(spec, "log2", "weights", {2, 8})
               ? std::make_shared<Log2WeightQuantizer>(spec)
               : nullptr;
  }

  ssdq::QuantizerPtr activation_quantizer(const ssdq::TensorSpec& spec) const override {
    return uniform_->activation_quantizer(spec);
  }

 private:
  std::shared_ptr<ssdq::QuantizationMethod> uniform_;
};

}  // namespace

torch::Tensor Log2WeightQuantizer::quantize(const torch::Tensor& w) {
  torch::Tensor q;
  {
    const torch::NoGradGuard no_grad;
    const torch::Tensor magnitude = w.abs();
    const torch::Tensor top = magnitude.amax({1, 2, 3}, true).log2().round();
    const torch::Tensor exponent = torch::minimum(magnitude.log2().round(), top);
    const double magnitudes = std::exp2(spec().bits - 1) - 1;
    q = torch::where(exponent > top - magnitudes, w.sign() * torch::exp2(exponent),
                     torch::zeros_like(w));
  }
  return w + (q - w).detach();
}

ssdq::QuantizerReport Log2WeightQuantizer::report() const {
  return {spec().bits, "per channel, powers of two", "extremes of the weight"};
}

std::shared_ptr<ssdq::QuantizationMethod> make_log2(const ssdq::QuantizationConfig& config) {
  return std::make_shared<Log2>(ssdq::make_uniform(config));
}
