#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq {

// Which output channels of the nodes are one channel: what a dense convolution writes is the same
// channel in every node that passes it on (pool, upsample, squeeze-excite, L2Norm, depthwise
// convolution, concat at its place), and an add makes one of the channels of all of its inputs.
struct ChannelUnits {
  std::vector<std::vector<int>> of;  // by node, by output channel: the unit
  int count = 0;
};

ChannelUnits channel_units(const Graph& graph);

// Units that the same convolutions write.
struct ChannelGroup {
  std::vector<NodeId> convs;      // dense convolutions, in node order
  std::vector<NodeId> depthwise;  // convolutions that carry the channels on one by one
  std::vector<int> units;         // in channel order of the first convolution
  bool added = false;             // an add reads them
  std::string fixed;              // why none can be removed, or empty
};

// In node order of the first convolution. Fixed are predictions, channels of grouped convolutions,
// those with an activation that is not 0 at 0, and the image.
std::vector<ChannelGroup> channel_groups(const Graph& graph, const ChannelUnits& units);

// What PRUNE.TYPE takes: kNormal leaves both ends of adds and depthwise convolutions alone,
// kShortcut takes the channels of adds too, kAll also those that depthwise convolutions carry on.
enum class PruneScope { kNormal, kShortcut, kAll };

// Throws ConfigError for a name that is not one of prune_scope_names().
PruneScope parse_prune_scope(const std::string& name);
const char* to_string(PruneScope scope);

// "normal", "shortcut", "all" with a line each.
std::vector<std::pair<std::string, std::string>> prune_scope_names();

bool in_scope(const ChannelGroup& group, PruneScope scope);

// The groups of channel_groups() that are in scope.
std::vector<ChannelGroup> groups_in_scope(const Graph& graph, const ChannelUnits& units,
                                          PruneScope scope);

// By unit.
using KeptUnits = std::vector<bool>;

// Output channels of a node that are kept, in order.
std::vector<int64_t> kept_channels(const ChannelUnits& units, NodeId node, const KeptUnits& kept);

// The network with the kept channels only. Throws Error when a node would keep none.
Graph prune_graph(const Graph& graph, const ChannelUnits& units, const KeptUnits& kept);

}  // namespace ssdq
