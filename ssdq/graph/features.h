#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq {

// Shapes of the features, in level order.
std::vector<Shape> feature_shapes(const Graph& graph);

// Checks the features against the config: MODEL.BACKBONE.OUT_CHANNELS and MODEL.PRIORS.FEATURE_MAPS
// (empty lists are not checked) and the lengths of lists that need an entry for each level, as
// {key, length}. Throws ConfigError with a line and both numbers for each mismatch.
void check_features(const Graph& graph, const std::vector<int>& expected_channels,
                    const std::vector<Size2>& expected_maps,
                    const std::vector<std::pair<std::string, std::size_t>>& list_lengths = {});

}  // namespace ssdq
