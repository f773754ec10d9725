#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ssdq/importing/graph_parts.h"
#include "ssdq/importing/name_maps.h"

namespace ssdq {
namespace {

using Stages = std::array<std::string, 4>;

// Behind routes of one layer, which are the identity.
NodeId real_input(const Graph& graph, NodeId id) {
  NodeId input = graph.nodes[id].inputs.front();
  while (std::holds_alternative<Concat>(graph.nodes[input].op) &&
         graph.nodes[input].inputs.size() == 1) {
    input = graph.nodes[input].inputs.front();
  }
  return input;
}

// conv<k> in order; the convolution that starts where the block starts is the projection.
void add_block(NameMap& map, const Graph& graph, const std::string& module,
               const std::vector<NodeId>& convolutions) {
  int number = 0;
  for (const NodeId id : convolutions) {
    const bool projection = id != convolutions.front() &&
                            real_input(graph, id) == real_input(graph, convolutions.front());
    const auto& name = graph.nodes[id].name;
    if (projection) {
      map[name] = {module + ".downsample.0", module + ".downsample.1"};
    } else {
      ++number;
      map[name] = {fmt::format("{}.conv{}", module, number),
                   fmt::format("{}.bn{}", module, number)};
    }
  }
}

// A stage begins where the blocks' channels change.
void add_resnet(NameMap& map, const Graph& graph, const LayerNames& stem, const Stages& stages) {
  std::vector<NodeId> convolutions;
  size_t stage = 0;
  int block = 0, channels = 0;
  for (const NodeId id : classifier_nodes(graph)) {
    const Node& node = graph.nodes[id];
    if (std::holds_alternative<Conv>(node.op)) {
      convolutions.push_back(id);
    } else if (std::holds_alternative<Pool>(node.op) && convolutions.size() == 1) {
      map[graph.nodes[convolutions.front()].name] = stem;
      convolutions.clear();
    } else if (std::holds_alternative<Add>(node.op) && !convolutions.empty()) {
      const int width = std::get<Conv>(graph.nodes[convolutions.back()].op).out_channels;
      if (channels != 0 && width != channels) {
        stage = std::min(stage + 1, stages.size() - 1);
        block = 0;
      }
      channels = width;
      add_block(map, graph, fmt::format("{}.{}", stages[stage], block++), convolutions);
      convolutions.clear();
    }
  }
}

}  // namespace

NameMap map_torchvision_resnet(const Graph& graph, const FileNames&) {
  NameMap map;
  add_resnet(map, graph, {"conv1", "bn1"}, {"layer1", "layer2", "layer3", "layer4"});
  return map;
}

NameMap map_nvidia_ssd(const Graph& graph, const FileNames& names) {
  const std::string prefix = "feature_extractor.feature_extractor.";
  NameMap map;
  add_resnet(map, graph, {prefix + "0", prefix + "1"},
             {prefix + "4", prefix + "5", prefix + "6", prefix + "7"});
  const auto levels = extra_levels(graph);
  for (size_t level = 0; level < levels.size(); ++level) {
    for (size_t i = 0; i < levels[level].size(); ++i) {
      const std::string stem = fmt::format("additional_blocks.{}.", level);
      map[graph.nodes[levels[level][i]].name] = {fmt::format("{}{}", stem, 3 * i),
                                                 fmt::format("{}{}", stem, 3 * i + 1)};
    }
  }
  add_heads(map, graph, names, {"conf.", "loc.", ""});
  return map;
}

}  // namespace ssdq
