#pragma once

#include <string>

#include "ssdq/graph/cost.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// The network as a tree of its dotted names, 100 columns at most for the shipped ones: a line for
// each node with its operator, inputs (where they are not the node above), output shape and
// parameters, and for each group the sum. Tapped maps say their level; Outputs are left out. `cost`
// is that of the graph.
std::string graph_tree(const Graph& graph, const Cost& cost);

}  // namespace ssdq
