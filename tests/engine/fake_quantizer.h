#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq::testing {

// Rounds to steps of largest |x| seen / 2^bits. Its state: the largest magnitude, 2^-bits and the
// number of tensors observed (buffers), and a learned offset (a parameter, zero at first).
class FakeQuantizer : public QuantizerImpl {
 public:
  explicit FakeQuantizer(const TensorSpec& spec);

  QuantizerReport report() const override { return {}; }
  void set_bits(int bits) override;

  torch::Tensor largest, unit, observed, offset;
  std::vector<int> widths;  // as set_bits() was called

 protected:
  void observe(const torch::Tensor& x) override;
  torch::Tensor quantize(const torch::Tensor& x) override;
};

// The built-in components and the method "fake".
Registries registries_with_fake();

// The experiment of a YAML file with QUANTIZATION.TYPE fake.
Experiment fake_experiment(const std::string& file, const std::string& output,
                           Registries& registries);

}  // namespace ssdq::testing
