#pragma once

#include <set>
#include <string>
#include <vector>

#include <torch/nn/module.h>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/graph/graph.h"
#include "ssdq/importing/import_state.h"

namespace ssdq {

// Which tensors of a checkpoint are asked for.
struct WeightsRequest {
  bool backbone_only = false;              // of a classifier those that it has
  std::vector<std::string> allow_missing;  // globs
  std::vector<std::string> reset;          // globs: left out
};

struct RequestedWeights {
  State tensors;
  InputRanges input_ranges;  // what another system's quantized network says of its activations
};

// The checkpoint's weights for a detector of that graph: its own as they are, another system's
// brought into SSDQ's names and form, strictly, with a line in the log. Throws Error.
RequestedWeights weights_for(const Graph& graph, const Checkpoint& checkpoint,
                             const std::string& path, const WeightsRequest& request);

// Gives these ranges to the quantizers of the nodes' inputs, as far as their method has any.
// Returns the names of the tensors that hold them.
std::set<std::string> set_input_ranges(const torch::nn::Module& detector,
                                       const InputRanges& ranges);

// Whether some tensor bears a name of the network.
bool is_own_state(const Graph& graph, const State& state);

}  // namespace ssdq
