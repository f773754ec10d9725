#include "ssdq/pruning/channel_groups.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class DisjointSets {
 public:
  int add() {
    parents_.push_back(static_cast<int>(parents_.size()));
    return parents_.back();
  }

  int find(int item) {
    while (parents_[item] != item) {
      parents_[item] = parents_[parents_[item]];
      item = parents_[item];
    }
    return item;
  }

  // The older of both represents them.
  void join(int a, int b) {
    const int first = find(a), second = find(b);
    parents_[std::max(first, second)] = std::min(first, second);
  }

 private:
  std::vector<int> parents_;
};

bool is_depthwise(const Op& op, int in_channels) {
  const auto* conv = std::get_if<Conv>(&op);
  return conv != nullptr && conv->groups > 1 && conv->groups == in_channels &&
         conv->groups == conv->out_channels;
}

bool is_grouped(const Op& op, int in_channels) {
  const auto* conv = std::get_if<Conv>(&op);
  return conv != nullptr && conv->groups > 1 && !is_depthwise(op, in_channels);
}

bool zero_at_zero(Activation activation) {
  return activation != Activation::kSigmoid && activation != Activation::kHSigmoid;
}

Activation activation_of(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->activation;
  if (const auto* add = std::get_if<Add>(&op)) return add->activation;
  if (const auto* gate = std::get_if<SqueezeExcite>(&op)) return gate->activation;
  return Activation::kLinear;
}

// Why the channels that a node reads or writes are fixed; empty if they are not.
struct Reasons {
  const char* inputs = "";
  const char* outputs = "";
};

Reasons reasons_of(const Op& op, int in_channels) {
  if (std::holds_alternative<Input>(op)) return {"", "the image"};
  if (std::holds_alternative<Output>(op)) return {"a prediction", "a prediction"};
  if (is_grouped(op, in_channels)) return {"a grouped convolution", "a grouped convolution"};
  if (!zero_at_zero(activation_of(op))) return {"", "an activation that is not 0 at 0"};
  return {};
}

}  // namespace

ChannelUnits channel_units(const Graph& graph) {
  const auto shapes = infer_shapes(graph);
  DisjointSets sets;
  ChannelUnits units;
  for (const Node& node : graph.nodes) {
    const bool is_input = std::holds_alternative<Input>(node.op);
    const int in_channels = is_input ? 0 : shapes[node.inputs.front()].channels;
    std::vector<int> channels;
    if (is_input ||
        (std::holds_alternative<Conv>(node.op) && !is_depthwise(node.op, in_channels))) {
      const int count =
          is_input ? std::get<Input>(node.op).channels : std::get<Conv>(node.op).out_channels;
      std::generate_n(std::back_inserter(channels), count, [&] { return sets.add(); });
    } else if (std::holds_alternative<Concat>(node.op)) {
      for (const NodeId input : node.inputs) {
        channels.insert(channels.end(), units.of[input].begin(), units.of[input].end());
      }
    } else {
      channels = units.of[node.inputs.front()];
      for (const NodeId input : node.inputs) {
        for (size_t c = 0; c < channels.size(); ++c) {
          sets.join(channels[c], units.of[input][c]);
        }
      }
    }
    units.of.push_back(std::move(channels));
  }
  std::map<int, int> numbers;  // of representatives, which are in order of their first channel
  for (auto& channels : units.of) {
    for (int& channel : channels) {
      channel = numbers.emplace(sets.find(channel), static_cast<int>(numbers.size())).first->second;
    }
  }
  units.count = static_cast<int>(numbers.size());
  return units;
}

std::vector<ChannelGroup> channel_groups(const Graph& graph, const ChannelUnits& units) {
  struct Unit {
    std::set<NodeId> convs, depthwise;
    bool added = false;
    const char* fixed = "";
  };
  std::vector<Unit> all(static_cast<size_t>(units.count));
  const auto count = static_cast<NodeId>(graph.nodes.size());
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = graph.nodes[id];
    const int in_channels =
        node.inputs.empty() ? 0 : static_cast<int>(units.of[node.inputs.front()].size());
    const Reasons reasons = reasons_of(node.op, in_channels);
    for (const NodeId input : node.inputs) {
      for (const int unit : units.of[input]) {
        if (*reasons.inputs != '\0') all[unit].fixed = reasons.inputs;
        all[unit].added |= std::holds_alternative<Add>(node.op);
      }
    }
    for (const int unit : units.of[id]) {
      if (*reasons.outputs != '\0') all[unit].fixed = reasons.outputs;
      if (is_depthwise(node.op, in_channels)) {
        all[unit].depthwise.insert(id);
      } else if (std::holds_alternative<Conv>(node.op)) {
        all[unit].convs.insert(id);
      }
    }
  }
  std::map<std::pair<std::set<NodeId>, std::set<NodeId>>, ChannelGroup> groups;
  for (int unit = 0; unit < units.count; ++unit) {
    const Unit& one = all[unit];
    if (one.convs.empty()) {
      continue;  // the image
    }
    ChannelGroup& group = groups[{one.convs, one.depthwise}];
    group.convs.assign(one.convs.begin(), one.convs.end());
    group.depthwise.assign(one.depthwise.begin(), one.depthwise.end());
    group.units.push_back(unit);
    group.added |= one.added;
    if (group.fixed.empty()) group.fixed = one.fixed;
  }
  std::vector<ChannelGroup> sorted;
  for (auto& entry : groups) {
    sorted.push_back(std::move(entry.second));
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.convs.front() < b.convs.front(); });
  return sorted;
}

PruneScope parse_prune_scope(const std::string& name) {
  for (const auto scope : {PruneScope::kNormal, PruneScope::kShortcut, PruneScope::kAll}) {
    if (name == to_string(scope)) return scope;
  }
  fail_config("unknown scope of pruning '{}' (known: normal, shortcut, all)", name);
}

const char* to_string(PruneScope scope) {
  switch (scope) {
    case PruneScope::kNormal:
      return "normal";
    case PruneScope::kShortcut:
      return "shortcut";
    case PruneScope::kAll:
      return "all";
  }
  return "";
}

std::vector<std::pair<std::string, std::string>> prune_scope_names() {
  return {{"normal", "channels that no add and no depthwise convolution reads"},
          {"shortcut", "those of adds too, whole groups together"},
          {"all", "those of adds and of depthwise convolutions too"}};
}

bool in_scope(const ChannelGroup& group, PruneScope scope) {
  return group.fixed.empty() && (scope != PruneScope::kNormal || !group.added) &&
         (scope == PruneScope::kAll || group.depthwise.empty());
}

std::vector<ChannelGroup> groups_in_scope(const Graph& graph, const ChannelUnits& units,
                                          PruneScope scope) {
  auto groups = channel_groups(graph, units);
  groups.erase(std::remove_if(groups.begin(), groups.end(),
                              [&](const auto& group) { return !in_scope(group, scope); }),
               groups.end());
  return groups;
}

std::vector<int64_t> kept_channels(const ChannelUnits& units, NodeId node, const KeptUnits& kept) {
  std::vector<int64_t> channels;
  const auto& of = units.of[node];
  for (size_t c = 0; c < of.size(); ++c) {
    if (kept[of[c]]) channels.push_back(static_cast<int64_t>(c));
  }
  return channels;
}

Graph prune_graph(const Graph& graph, const ChannelUnits& units, const KeptUnits& kept) {
  Graph pruned = graph;
  const auto count = static_cast<NodeId>(graph.nodes.size());
  for (NodeId id = 0; id < count; ++id) {
    const auto channels = static_cast<int>(kept_channels(units, id, kept).size());
    SSDQ_CHECK(channels > 0, "{}: pruning would leave no channel", place(graph.nodes[id]));
    if (auto* conv = std::get_if<Conv>(&pruned.nodes[id].op)) {
      const bool depthwise = is_depthwise(
          graph.nodes[id].op, static_cast<int>(units.of[graph.nodes[id].inputs.front()].size()));
      conv->out_channels = channels;
      if (depthwise) conv->groups = channels;
    }
  }
  return pruned;
}

}  // namespace ssdq
