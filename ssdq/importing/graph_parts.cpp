#include "ssdq/importing/graph_parts.h"

#include <algorithm>
#include <string_view>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

bool is_layer(const Node& node) {
  return std::holds_alternative<Conv>(node.op) || std::holds_alternative<SqueezeExcite>(node.op);
}

bool is_head(const Graph& graph, NodeId id) {
  return id > *std::max_element(graph.features.begin(), graph.features.end());
}

bool is_pointwise(const Node& node) {
  const auto* conv = std::get_if<Conv>(&node.op);
  return conv != nullptr && conv->groups == 1 && conv->kernel.height == 1 &&
         conv->kernel.width == 1;
}

}  // namespace

bool is_depthwise(const Node& node) { return kind_name(node.op) == std::string_view("depthwise"); }

std::vector<NodeId> classifier_nodes(const Graph& graph) {
  std::vector<NodeId> nodes;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    if (graph.nodes[id].backbone) {
      nodes.push_back(id);
    }
  }
  SSDQ_CHECK_CONFIG(!nodes.empty(),
                    "the cfg file does not say where its classifier ends; expected backbone=1 in "
                    "the last section that a pre-trained classifier covers");
  return nodes;
}

std::vector<NodeId> layers_of(const Graph& graph, const std::vector<NodeId>& nodes) {
  std::vector<NodeId> layers;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(layers),
               [&](NodeId id) { return is_layer(graph.nodes[id]); });
  return layers;
}

std::vector<std::vector<NodeId>> extra_levels(const Graph& graph) {
  std::vector<std::vector<NodeId>> levels(1);
  for (NodeId id = classifier_nodes(graph).back() + 1; !is_head(graph, id); ++id) {
    if (is_layer(graph.nodes[id])) {
      levels.back().push_back(id);
    }
    const bool feature =
        std::find(graph.features.begin(), graph.features.end(), id) != graph.features.end();
    if (feature && !levels.back().empty()) {
      levels.emplace_back();
    }
  }
  levels.pop_back();
  return levels;
}

std::vector<std::vector<NodeId>> head_levels(const Graph& graph, OutputRole role) {
  std::vector<std::vector<NodeId>> levels(graph.features.size());
  for (const Node& node : graph.nodes) {
    const auto* output = std::get_if<Output>(&node.op);
    if (output == nullptr || output->role != role) {
      continue;
    }
    auto& chain = levels.at(static_cast<size_t>(output->level));
    for (NodeId id = node.inputs.front(); is_head(graph, id); id = graph.nodes[id].inputs.front()) {
      chain.insert(chain.begin(), id);
    }
  }
  return levels;
}

std::vector<std::vector<NodeId>> mobile_blocks(const Graph& graph,
                                               const std::vector<NodeId>& layers) {
  std::vector<std::vector<NodeId>> blocks;
  const size_t count = layers.size();
  const auto node = [&](size_t i) -> const Node& { return graph.nodes[layers[i]]; };
  for (size_t i = 0; i < count;) {
    size_t end = i;
    if (is_pointwise(node(i)) && i + 1 < count && is_depthwise(node(i + 1))) {
      ++end;
    }
    if (is_depthwise(node(end))) {
      ++end;
      end += end < count && std::holds_alternative<SqueezeExcite>(node(end).op) ? 1U : 0U;
    }
    end = std::min(end + 1, count);
    blocks.emplace_back(layers.begin() + static_cast<std::ptrdiff_t>(i),
                        layers.begin() + static_cast<std::ptrdiff_t>(end));
    i = end;
  }
  return blocks;
}

}  // namespace ssdq
