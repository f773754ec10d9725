#pragma once

#include <string>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ssdq/export/float_tensors.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/strings.h"

namespace ssdq::testing {

// Random biases, norms and statistics, as after training; weights stay as they are.
inline void randomise(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : state(module)) {
    if (ends_with(name, "running_var") || ends_with(name, "bn.weight")) {
      tensor.uniform_(0.5, 1.5);
    } else if (ends_with(name, "running_mean") || ends_with(name, "bias")) {
      tensor.normal_(0, 0.2);
    } else if (tensor.dim() == 1 && tensor.is_floating_point()) {
      tensor.uniform_(0.5, 1.5);  // scales of an L2Norm
    }
  }
}

inline FloatTensors float_tensors(const torch::nn::Module& module) {
  FloatTensors tensors;
  for (const auto& [name, tensor] : state(module)) {
    if (tensor.is_floating_point()) {
      const auto plain = tensor.detach().contiguous();
      const auto* data = plain.data_ptr<float>();
      tensors[name] = {plain.sizes().vec(), {data, data + plain.numel()}};
    }
  }
  return tensors;
}

}  // namespace ssdq::testing
