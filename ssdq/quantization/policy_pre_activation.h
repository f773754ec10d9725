#pragma once

#include <set>
#include <string>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq {

// Where ReLU and ReLU6 are applied late because a convolution takes the map before them. The nodes
// on the way are monotone and work elementwise or on maxima, so that the activation gives the same
// map before and after them. Vectors are in node order.
struct PreActivationPlan {
  // Convolutions and adds that leave out their own activation.
  std::vector<bool> withheld;
  // The activation that each output still lacks, linear for none. It is to be applied to a map that
  // leaves the graph from such a node.
  std::vector<Activation> pending;
  // For each input of each node: is the input's pending activation to be applied before the node?
  std::vector<std::vector<bool>> apply;
};

// Withholds the relu or relu6 of each convolution and add from which one of the `binarized`
// convolutions is reached directly or through max pools, upsampling and routes to one layer alone;
// every other reader gets it applied on its edge. The input of a binarized convolution behind a
// withheld activation may be negative, whatever signed_outputs() says of it. Throws Error if a name
// is that of no convolution.
PreActivationPlan plan_pre_activations(const Graph& graph, const std::set<std::string>& binarized);

}  // namespace ssdq
