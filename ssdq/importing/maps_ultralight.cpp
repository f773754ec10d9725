#include <optional>

#include <fmt/format.h>

#include "ssdq/importing/graph_parts.h"
#include "ssdq/importing/name_maps.h"

namespace ssdq {
namespace {

// Branches that a concat joins, the convolution behind it, and the shortcut added to that.
struct ReceptiveFieldBlock {
  std::vector<std::vector<NodeId>> branches;
  NodeId linear = 0, shortcut = 0, sum = 0;

  bool holds(NodeId id) const { return id >= branches.front().front() && id <= sum; }
};

// The node whose map it is: a route to one layer has none of its own.
NodeId behind_routes(const Graph& graph, NodeId id) {
  while (std::holds_alternative<Concat>(graph.nodes[id].op) && graph.nodes[id].inputs.size() == 1) {
    id = graph.nodes[id].inputs.front();
  }
  return id;
}

NodeId source_of(const Graph& graph, NodeId id) {
  return behind_routes(graph, graph.nodes[id].inputs.front());
}

// The nodes after `root` that lead to `end`.
std::vector<NodeId> branch_to(const Graph& graph, NodeId root, NodeId end) {
  std::vector<NodeId> branch;
  for (NodeId id = end; id > root; id = source_of(graph, id)) {
    branch.insert(branch.begin(), id);
  }
  return branch;
}

std::optional<ReceptiveFieldBlock> block_of(const Graph& graph, NodeId linear, NodeId shortcut,
                                            NodeId sum) {
  if (!std::holds_alternative<Conv>(graph.nodes[linear].op) ||
      !std::holds_alternative<Conv>(graph.nodes[shortcut].op)) {
    return {};
  }
  const Node& joined = graph.nodes[source_of(graph, linear)];
  if (!std::holds_alternative<Concat>(joined.op)) {
    return {};
  }
  ReceptiveFieldBlock block{{}, linear, shortcut, sum};
  for (const NodeId end : joined.inputs) {
    block.branches.push_back(branch_to(graph, source_of(graph, shortcut), end));
    if (block.branches.back().empty()) {
      return {};
    }
  }
  return block;
}

std::optional<ReceptiveFieldBlock> find_block(const Graph& graph,
                                              const std::vector<NodeId>& nodes) {
  for (const NodeId id : nodes) {
    const auto& inputs = graph.nodes[id].inputs;
    if (!std::holds_alternative<Add>(graph.nodes[id].op) || inputs.size() != 2) {
      continue;
    }
    for (const int linear : {0, 1}) {
      if (auto block = block_of(graph, inputs[linear], inputs[1 - linear], id)) {
        return block;
      }
    }
  }
  return {};
}

void add_block(NameMap& map, const Graph& graph, const std::string& module,
               const ReceptiveFieldBlock& block) {
  const auto add = [&](NodeId id, const std::string& name) {
    const std::string stem = module + "." + name;
    map[graph.nodes[id].name] = {stem + ".conv", stem + ".bn"};
  };
  for (size_t b = 0; b < block.branches.size(); ++b) {
    for (size_t i = 0; i < block.branches[b].size(); ++i) {
      add(block.branches[b][i], fmt::format("branch{}.{}", b, i));
    }
  }
  add(block.linear, "ConvLinear");
  add(block.shortcut, "shortcut");
}

}  // namespace

NameMap map_ultralight(const Graph& graph, const FileNames& names) {
  const auto nodes = classifier_nodes(graph);
  const auto block = find_block(graph, nodes);
  std::vector<NodeId> before, behind;
  for (const NodeId id : layers_of(graph, nodes)) {
    if (!block || id < block->branches.front().front()) {
      before.push_back(id);
    } else if (!block->holds(id)) {
      behind.push_back(id);
    }
  }
  NameMap map;
  const size_t first = add_flat_blocks(map, graph, "base_net.", "", mobile_blocks(graph, before));
  if (block) {
    add_block(map, graph, fmt::format("base_net.{}", first), *block);
    add_flat_blocks(map, graph, "base_net.", "", mobile_blocks(graph, behind), first + 1);
  }
  add_plain_extras(map, graph, "extras.");
  add_heads(map, graph, names, {"classification_headers.", "regression_headers.", ""});
  return map;
}

}  // namespace ssdq
