#pragma once

#include <torch/torch.h>

#include "ssdq/modeling/graph_module.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/channel_groups.h"
#include "ssdq/utils/strings.h"

namespace ssdq::testing {

// Gives batch norms random scales and statistics, and biases random values, as training does. With
// `shrink`, a number of scales are near 0.
inline void randomize(GraphModuleImpl& network, double shrink = 0) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state(network)) {
    if (ends_with(name, "running_var")) {
      tensor.uniform_(0.5, 1.5);
    } else if (ends_with(name, "running_mean") || ends_with(name, "bias")) {
      tensor.normal_(0, 0.2);
    } else if (ends_with(name, "bn.weight")) {
      tensor.uniform_(0.5, 1.5);
      tensor.mul_(torch::where(torch::rand_like(tensor) < shrink, torch::full_like(tensor, 1e-3),
                               torch::ones_like(tensor)));
    }
  }
}

// Sets gamma, without batch norm the weights, of removed channels of dense convolutions to 0: they
// carry act(beta).
inline void silence(GraphModuleImpl& network, const ChannelUnits& units, const KeptUnits& kept) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, block] : network.convolutions()) {
    if (block->conv().groups > 1) continue;
    const auto& of = units.of[network.graph().find(name)];
    for (size_t c = 0; c < of.size(); ++c) {
      if (kept[of[c]]) continue;
      const torch::Tensor& scale = block->conv().batch_norm ? block->bn->weight : block->weight;
      scale[static_cast<int64_t>(c)].zero_();
    }
  }
}

}  // namespace ssdq::testing
