#pragma once

#include "ssdq/checkpoint/state.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// The state of the network of `graph` without the channels that are not kept: the state of the
// network of prune_graph(). Rows and columns are left out of weights, biases, batch norms, L2Norm,
// squeeze-excite and the state that quantizers keep for each output channel of a weight; other
// tensors are as they were. Throws Error naming a tensor that is not of the network.
State prune_state(const Graph& graph, const ChannelUnits& units, const KeptUnits& kept,
                  const State& state);

// The state of the whole network in which the channels that are not kept are 0: gamma and beta of
// their batch norms, weights and biases of convolutions without one.
State mask_state(const Graph& graph, const ChannelUnits& units, const KeptUnits& kept,
                 const State& state);

// What the state of the whole network holds of the nodes that the part has too, by name: the state
// of the network of without_levels(). Throws Error naming a tensor that is not of the network.
State state_of_part(const Graph& whole, const Graph& part, const State& state);

}  // namespace ssdq
