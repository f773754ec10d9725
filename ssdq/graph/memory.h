#pragma once

#include <cstdint>
#include <vector>

#include "ssdq/graph/cost.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// The parts of cost() that follow the flow of data; see there for what they mean.

// Width in bits at which each node's output is kept, in node order.
std::vector<int> output_widths(const Graph& graph, const WidthPlan& widths);

// The node whose tensor a node's output is: itself, or for routes to one layer and Outputs, which
// copy nothing, that of their input.
std::vector<NodeId> tensor_owners(const Graph& graph);

// Bytes that exist while each node runs, given the bytes of each node's own output (0 for those
// that copy nothing). Results are the tensors of the Outputs, or of the features of a graph without
// heads.
std::vector<std::int64_t> live_bytes(const Graph& graph,
                                     const std::vector<std::int64_t>& output_bytes);

}  // namespace ssdq
