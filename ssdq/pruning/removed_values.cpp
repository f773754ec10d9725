#include "ssdq/pruning/removed_values.h"

#include <torch/torch.h>

#include "ssdq/layers/functional.h"

namespace ssdq {

torch::Tensor by_channel(const torch::Tensor& values) { return values.view({1, -1, 1, 1}); }

torch::Tensor written_constants(ConvBlock& block) {
  const Conv& conv = block->conv();
  const torch::Tensor value = conv.batch_norm ? block->bn->bias : block->bias;
  return value.defined() ? by_channel(activate(value.detach(), conv.activation, conv.leaky_slope))
                         : torch::Tensor();
}

torch::Tensor carried_on(ConvBlock& block, const torch::Tensor& sums) {
  const Conv& conv = block->conv();
  torch::Tensor y = sums;
  if (conv.batch_norm) {
    const auto scale = block->running_scale();
    const auto shift = block->bn->bias - block->bn->running_mean * scale;
    y = (block->folds_first() ? y : y * by_channel(scale)) + by_channel(shift);
  } else if (block->bias.defined()) {
    y = y + by_channel(block->bias);
  }
  return activate(y, conv.activation, conv.leaky_slope).detach();
}

}  // namespace ssdq
