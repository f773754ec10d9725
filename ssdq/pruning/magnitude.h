#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/checkpoint/state.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// Zeros of a convolution's weight.
struct WeightSparsity {
  std::string weight;  // "backbone.3.weight"
  int64_t zeros = 0, total = 0;
};

struct SparseState {
  State state;
  std::vector<WeightSparsity> weights;  // in the state's order
  int64_t zeros = 0, total = 0;         // of all of them
};

// Sets the floor(amount n) smallest |w| of the network's n convolution weights (dense, grouped,
// depthwise, predictions too) to 0, the first of equals: one threshold for all, as
// global_unstructured with L1 does in torch.nn.utils.prune. Weights that are 0 already are among
// the smallest. Other tensors (biases, batch norms, squeeze-excite, L2Norm, quantizers) stay and
// share storage with `state`, the state of the network of `graph`.
//
// Throws ConfigError for an amount outside [0, 1), Error when a weight is missing or not finite.
SparseState prune_smallest_weights(const Graph& graph, const State& state, double amount);

}  // namespace ssdq
