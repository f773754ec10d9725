#include "fake_quantizer.h"

#include <cmath>
#include <memory>

#include <torch/torch.h>

#include "ssdq/config/reader.h"

namespace ssdq::testing {
namespace {

class FakeMethod : public QuantizationMethod {
 public:
  QuantizerPtr weight_quantizer(const TensorSpec& spec) const override {
    return std::make_shared<FakeQuantizer>(spec);
  }
  QuantizerPtr activation_quantizer(const TensorSpec& spec) const override {
    return std::make_shared<FakeQuantizer>(spec);
  }
};

}  // namespace

FakeQuantizer::FakeQuantizer(const TensorSpec& spec) : QuantizerImpl(spec) {
  largest = register_buffer("largest", torch::zeros({1}));
  unit = register_buffer("unit", torch::full({1}, std::pow(2.0, -spec.bits)));
  observed = register_buffer("observed", torch::zeros({1}, torch::kLong));
  offset = register_parameter("offset", torch::zeros({1}));
}

void FakeQuantizer::set_bits(int bits) {
  widths.push_back(bits);
  unit.mul_(std::pow(2.0, spec().bits - bits));
  QuantizerImpl::set_bits(bits);
}

void FakeQuantizer::observe(const torch::Tensor& x) {
  largest.copy_(torch::maximum(largest, x.abs().max().to(torch::kFloat)));
  observed += 1;
}

torch::Tensor FakeQuantizer::quantize(const torch::Tensor& x) {
  const torch::Tensor step = (largest + 1e-6) * unit;
  return x + ((x / step).round() * step - x).detach() + offset;
}

Registries registries_with_fake() {
  Registries registries = builtin_registries();
  registries.quantizers.add("fake", "for tests", [](const QuantizationConfig&) {
    return std::make_shared<FakeMethod>();
  });
  return registries;
}

Experiment fake_experiment(const std::string& file, const std::string& output,
                           Registries& registries) {
  const auto loaded = load_config(
      file, {"MODEL.DEVICE", "cpu", "OUTPUT_DIR", output, "QUANTIZATION.TYPE", "fake",
             "QUANTIZATION.WBITS", "4", "QUANTIZATION.ABITS", "4", "DATA_LOADER.NUM_WORKERS", "0"});
  return build_experiment(loaded.config, loaded.file, registries);
}

}  // namespace ssdq::testing
