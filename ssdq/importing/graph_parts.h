#pragma once

#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq {

// Views of a detector's graph in the terms that other systems name their modules by.

// Nodes of the part that a classifier covers, in order. Throws ConfigError when the cfg marks none.
std::vector<NodeId> classifier_nodes(const Graph& graph);

// Of `nodes`, the convolutions and squeeze-excites.
std::vector<NodeId> layers_of(const Graph& graph, const std::vector<NodeId>& nodes);

// Convolutions and squeeze-excites behind the classifier, those up to each feature together.
std::vector<std::vector<NodeId>> extra_levels(const Graph& graph);

// The convolutions that lead from a feature to its output, for each level.
std::vector<std::vector<NodeId>> head_levels(const Graph& graph, OutputRole role);

// Splits the layers into blocks of a MobileNet: [1x1 convolution,] depthwise convolution,
// [squeeze-excite,] convolution. Any other convolution is a block of its own.
std::vector<std::vector<NodeId>> mobile_blocks(const Graph& graph,
                                               const std::vector<NodeId>& layers);

bool is_depthwise(const Node& node);

}  // namespace ssdq
