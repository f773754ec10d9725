#pragma once

#include "ssdq/checkpoint/state.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// Names the values of a darknet file (checkpoint/darknet_file.h): for each convolution of the cfg
// in the order of its sections bias, or batch norm's bias, weight, running mean and running
// variance, then the weight. The file ends with a layer: with the last of the cfg, or before it as
// darknet's ".conv.<layers>" do, and what it lacks has no tensor here. With `backbone_only` the
// nodes marked `backbone` are taken and the rest of the file is left. Throws Error when the file
// ends within a layer, has values left, or a running variance is negative or not finite, as it
// is when the cfg is not that of the file.
State name_darknet_values(const Graph& graph, const State& file, bool backbone_only);

}  // namespace ssdq
