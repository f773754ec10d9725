#pragma once

#include <torch/types.h>

#include "ssdq/layers/conv_block.h"

namespace ssdq {

// What channels carry once they are removed, for every channel of a convolution alike.

// Values [C] of channels as [1, C, 1, 1].
torch::Tensor by_channel(const torch::Tensor& values);

// Of a dense convolution whose gamma (without batch norm, whose weights) would be 0: act(beta) or
// act(bias), [1, C, 1, 1]; undefined when it has neither batch norm nor bias.
torch::Tensor written_constants(ConvBlock& block);

// Output of a depthwise convolution whose sums are `sums` [1, C, H, W].
torch::Tensor carried_on(ConvBlock& block, const torch::Tensor& sums);

}  // namespace ssdq
