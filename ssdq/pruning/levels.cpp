#include "ssdq/pruning/levels.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// By node: does one of the first levels need it?
std::vector<bool> needed_by_levels(const Graph& graph, int levels) {
  std::vector<bool> needed(graph.nodes.size(), false);
  needed[0] = true;
  for (int level = 0; level < levels; ++level) {
    needed[graph.features[level]] = true;
  }
  for (size_t id = graph.nodes.size(); id-- > 0;) {
    const auto* output = std::get_if<Output>(&graph.nodes[id].op);
    if (needed[id] || (output != nullptr && output->level < levels)) {
      needed[id] = true;
      for (const NodeId input : graph.nodes[id].inputs) {
        needed[input] = true;
      }
    }
  }
  return needed;
}

// Groups that have nothing to keep, were it not for their best channel.
std::vector<ChannelGroup> groups_below(const std::vector<ChannelGroup>& groups,
                                       const std::vector<double>& scores, double threshold) {
  std::vector<ChannelGroup> below;
  std::copy_if(groups.begin(), groups.end(), std::back_inserter(below), [&](const auto& group) {
    return std::all_of(group.units.begin(), group.units.end(),
                       [&](int unit) { return scores[unit] < threshold; });
  });
  return below;
}

// By unit: is it of a group that serves none of the `needed` nodes?
std::vector<bool> removable_units(const std::vector<ChannelGroup>& below, int count,
                                  const std::vector<bool>& needed) {
  const auto unneeded = [&](const std::vector<NodeId>& nodes) {
    return std::none_of(nodes.begin(), nodes.end(), [&](NodeId id) { return bool{needed[id]}; });
  };
  std::vector<bool> removable(static_cast<size_t>(count), false);
  for (const auto& group : below) {
    if (unneeded(group.convs) && unneeded(group.depthwise)) {
      for (const int unit : group.units) {
        removable[unit] = true;
      }
    }
  }
  return removable;
}

// By node: does nothing of the image reach it once the removable units are gone?
std::vector<bool> cut_off(const Graph& graph, const ChannelUnits& units,
                          const std::vector<bool>& needed, const std::vector<bool>& removable) {
  std::vector<bool> cut(graph.nodes.size(), false);
  for (size_t id = 1; id < graph.nodes.size(); ++id) {
    if (needed[id]) {
      continue;
    }
    const auto& inputs = graph.nodes[id].inputs;
    const auto& channels = units.of[id];
    cut[id] = std::all_of(inputs.begin(), inputs.end(), [&](NodeId of) { return bool{cut[of]}; }) ||
              std::all_of(channels.begin(), channels.end(),
                          [&](int unit) { return bool{removable[unit]}; });
  }
  return cut;
}

}  // namespace

int levels_to_keep(const Graph& graph, const ChannelUnits& units,
                   const std::vector<ChannelGroup>& groups, const std::vector<double>& scores,
                   double threshold) {
  const auto levels = static_cast<int>(graph.features.size());
  const auto below = groups_below(groups, scores, threshold);
  for (int keep = 1; keep < levels; ++keep) {
    const auto needed = needed_by_levels(graph, keep);
    const auto cut = cut_off(graph, units, needed, removable_units(below, units.count, needed));
    if (std::all_of(graph.features.begin() + keep, graph.features.end(),
                    [&](NodeId feature) { return bool{cut[feature]}; })) {
      return keep;
    }
  }
  return levels;
}

Graph without_levels(const Graph& graph, int keep) {
  const auto levels = static_cast<int>(graph.features.size());
  SSDQ_CHECK(keep >= 1 && keep <= levels, "{} levels are to be kept of {}; expected 1 to {}", keep,
             levels, levels);
  const auto needed = needed_by_levels(graph, keep);
  Graph part;
  std::vector<NodeId> places(graph.nodes.size(), -1);
  for (size_t id = 0; id < graph.nodes.size(); ++id) {
    if (!needed[id]) {
      continue;
    }
    places[id] = static_cast<NodeId>(part.nodes.size());
    Node node = graph.nodes[id];
    for (NodeId& input : node.inputs) {
      input = places[input];
    }
    part.nodes.push_back(std::move(node));
  }
  for (int level = 0; level < keep; ++level) {
    part.features.push_back(places[graph.features[level]]);
  }
  return part;
}

KeptUnits kept_in_part(const Graph& whole, const ChannelUnits& whole_units, const KeptUnits& kept,
                       const Graph& part, const ChannelUnits& part_units) {
  KeptUnits in_part(static_cast<size_t>(part_units.count), true);
  for (size_t id = 0; id < part.nodes.size(); ++id) {
    const auto& from = whole_units.of[whole.find(part.nodes[id].name)];
    const auto& to = part_units.of[id];
    for (size_t channel = 0; channel < to.size(); ++channel) {
      in_part[to[channel]] = kept[from[channel]];
    }
  }
  return in_part;
}

}  // namespace ssdq
