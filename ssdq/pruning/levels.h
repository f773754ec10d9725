#pragma once

#include <vector>

#include "ssdq/graph/graph.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// How many levels, from the first, are worth keeping: the least number K >= 1 for which none of the
// levels from K on carries anything. A level carries nothing when each way from the image to its
// feature leads through a layer that only levels from K on need and all of whose channels are of
// groups with nothing but scores below `threshold`. A layer that an earlier level needs as well,
// itself or through a sum, ends no level; so a level goes with its head alone where others are made
// of it (feature pyramids). All levels stay when there is no such K. Scores are by unit.
int levels_to_keep(const Graph& graph, const ChannelUnits& units,
                   const std::vector<ChannelGroup>& groups, const std::vector<double>& scores,
                   double threshold);

// The network of the first `keep` levels: without the heads and features of the others, and without
// every node that then serves no level. Nodes keep their names, so that tensors and rules that name
// them still fit. Throws Error unless 1 <= keep <= levels.
Graph without_levels(const Graph& graph, int keep);

// Which units of a network of the first levels are kept, as they are in the whole one. Throws Error
// if the whole one lacks a node of the part.
KeptUnits kept_in_part(const Graph& whole, const ChannelUnits& whole_units, const KeptUnits& kept,
                       const Graph& part, const ChannelUnits& part_units);

}  // namespace ssdq
