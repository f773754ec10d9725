#pragma once

#include "ssdq/checkpoint/state.h"
#include "ssdq/graph/graph.h"
#include "ssdq/modeling/graph_module.h"

namespace ssdq {

// The tensors of the network after its batch norms went into its convolutions, whose weights are
// those that it computes with (quantized where it quantizes them); tensors of weight quantizers are
// gone. Changes `module`, which must be in evaluation mode.
State folded_state(GraphModuleImpl& module);

// The reverse, for a network of `graph`: gives each convolution with a batch norm one that changes
// nothing but adds its bias. So folded weights that another program has changed can be evaluated.
State unfold_batch_norm(const Graph& graph, const State& folded);

}  // namespace ssdq
