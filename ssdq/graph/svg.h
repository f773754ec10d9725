#pragma once

#include <string>

#include "ssdq/graph/cost.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// The network as an SVG picture, from the input down: nodes in rows by their distance from the
// input, the backbone on the left, heads to the right of the maps they read, kinds by colour,
// tapped maps with their level. Pointing at a node shows its shape, parameters and MACs. `cost` is
// that of the graph; `title` stands above.
std::string graph_svg(const Graph& graph, const Cost& cost, const std::string& title);

}  // namespace ssdq
