#pragma once

#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>

#include "ssdq/quantization/quantizer.h"

namespace ssdq {

struct NamedQuantizer {
  std::string name;  // path in the module: "backbone.3.weight_quantizer"
  QuantizerPtr quantizer;
  bool is_weight = false;  // else of activations
};

// The quantizers of a network, in the order of its modules.
std::vector<NamedQuantizer> quantizers_of(const torch::nn::Module& module);

// Those that own one of these tensors of module's state.
std::vector<NamedQuantizer> owners_of(const torch::nn::Module& module,
                                      const std::vector<std::string>& tensors);

// Gives the quantizers of `to` the widths and modes of those of `from`, a network of the same
// graph. Ranges are state and not copied.
void copy_quantizer_settings(const torch::nn::Module& from, torch::nn::Module& to);

using BatchNorms = std::vector<std::shared_ptr<torch::nn::BatchNorm2dImpl>>;

BatchNorms batch_norms_of(const torch::nn::Module& module);

}  // namespace ssdq
