#include <fmt/format.h>

#include "ssdq/importing/graph_parts.h"
#include "ssdq/importing/name_maps.h"

namespace ssdq {
namespace {

// Modules of a Sequential that a node takes: the convolution and what follows it, or a pool.
int modules_of(const Node& node, bool batch_norm) {
  const auto* conv = std::get_if<Conv>(&node.op);
  if (conv == nullptr) {
    return std::holds_alternative<Pool>(node.op) ? 1 : 0;
  }
  return batch_norm ? 3 : 2;
}

bool has_batch_norm(const FileNames& names, const std::string& prefix) {
  return names.count(prefix + "1.running_mean") > 0;
}

}  // namespace

std::map<NodeId, int> vgg_numbers(const Graph& graph, bool batch_norm) {
  std::map<NodeId, int> numbers;
  int number = 0;
  for (const NodeId id : classifier_nodes(graph)) {
    numbers[id] = number;
    number += modules_of(graph.nodes[id], batch_norm);
  }
  return numbers;
}

void add_vgg(NameMap& map, const Graph& graph, const FileNames& names, const std::string& prefix) {
  const bool batch_norm = has_batch_norm(names, prefix);
  for (const auto& [id, number] : vgg_numbers(graph, batch_norm)) {
    if (std::holds_alternative<Conv>(graph.nodes[id].op)) {
      map[graph.nodes[id].name] = {fmt::format("{}{}", prefix, number),
                                   batch_norm ? fmt::format("{}{}", prefix, number + 1) : ""};
    }
  }
}

void add_l2_norm(NameMap& map, const Graph& graph, const std::string& tensor) {
  for (const Node& node : graph.nodes) {
    if (std::holds_alternative<L2Norm>(node.op)) {
      map[node.name] = {tensor, ""};
      return;
    }
  }
}

NameMap map_vgg_reducedfc(const Graph& graph, const FileNames& names) {
  NameMap map;
  add_vgg(map, graph, names, "");
  return map;
}

NameMap map_lufficc_vgg(const Graph& graph, const FileNames& names) {
  NameMap map;
  add_vgg(map, graph, names, "backbone.vgg.");
  add_l2_norm(map, graph, "backbone.l2_norm.weight");
  int number = 0;
  for (const auto& level : extra_levels(graph)) {
    for (const NodeId id : level) {
      map[graph.nodes[id].name] = {fmt::format("backbone.extras.{}", number++), ""};
    }
  }
  add_lufficc_heads(map, graph, names);
  return map;
}

// "conv<block>_<layer>", a pool between blocks, then "fc6" and "fc7"; the extra levels go on as
// "conv6_1" and "conv6_2". A head is called after the layer that it reads.
NameMap map_caffe_vgg_ssd(const Graph& graph, const FileNames&) {
  constexpr int kBlocks = 5;
  NameMap map;
  int block = 1, layer = 0;
  for (const NodeId id : classifier_nodes(graph)) {
    if (std::holds_alternative<Conv>(graph.nodes[id].op)) {
      ++layer;
      map[graph.nodes[id].name] = {block <= kBlocks ? fmt::format("conv{}_{}", block, layer)
                                                    : fmt::format("fc{}", block + layer - 1),
                                   ""};
    } else if (std::holds_alternative<Pool>(graph.nodes[id].op)) {
      ++block;
      layer = 0;
    }
  }
  const auto levels = extra_levels(graph);
  for (size_t level = 0; level < levels.size(); ++level) {
    for (size_t i = 0; i < levels[level].size(); ++i) {
      map[graph.nodes[levels[level][i]].name] = {fmt::format("conv{}_{}", level + 6, i + 1), ""};
    }
  }
  const auto add_level_heads = [&](OutputRole role, const char* ending) {
    const auto heads = head_levels(graph, role);
    for (size_t level = 0; level < heads.size(); ++level) {
      const NodeId feature = graph.features[level];
      const auto source = map.find(graph.nodes[feature].name);
      const std::string name = source == map.end() ? "conv4_3_norm" : source->second.first;
      if (heads[level].size() == 1) {
        map[graph.nodes[heads[level].front()].name] = {name + ending, ""};
      }
    }
  };
  add_level_heads(OutputRole::kClass, "_mbox_conf");
  add_level_heads(OutputRole::kBox, "_mbox_loc");
  add_l2_norm(map, graph, "conv4_3_norm.weight");
  return map;
}

NameMap map_pytorch_ssd_vgg(const Graph& graph, const FileNames& names) {
  NameMap map;
  add_vgg(map, graph, names, "base_net.");
  add_l2_norm(map, graph, "source_layer_add_ons.0.scale");
  const auto levels = extra_levels(graph);
  for (size_t level = 0; level < levels.size(); ++level) {
    for (size_t i = 0; i < levels[level].size(); ++i) {
      map[graph.nodes[levels[level][i]].name] = {fmt::format("extras.{}.{}", level, 2 * i), ""};
    }
  }
  add_heads(map, graph, names, {"classification_headers.", "regression_headers.", ""});
  return map;
}

// The last convolutions, fc6 and fc7, stand in "classifier" as matrices of 4096 rows.
NameMap map_torchvision_vgg(const Graph& graph, const FileNames& names) {
  constexpr int kConvolutions = 13;
  constexpr const char* kFullyConnected[] = {"classifier.0", "classifier.3"};
  NameMap map;
  add_vgg(map, graph, names, "features.");
  int count = 0;
  for (const NodeId id : layers_of(graph, classifier_nodes(graph))) {
    const int behind = count++ - kConvolutions;
    if (behind >= 0) {
      map.erase(graph.nodes[id].name);
    }
    if (behind == 0 || behind == 1) {
      map[graph.nodes[id].name] = {kFullyConnected[behind], ""};
    }
  }
  return map;
}

// conv5, fc6 and fc7 follow the fourth pool in "backbone.extra.0", the latter two in a Sequential
// of their own.
NameMap map_torchvision_ssd300(const Graph& graph, const FileNames& names) {
  constexpr int kConv4 = 10;
  constexpr int kConv5 = 13;
  NameMap map;
  int count = 0;
  for (const auto& [id, number] : vgg_numbers(graph, false)) {
    const Node& node = graph.nodes[id];
    if (!std::holds_alternative<Conv>(node.op)) {
      continue;
    }
    const int conv = count++;
    if (conv < kConv4) {
      map[node.name] = {fmt::format("backbone.features.{}", number), ""};
    } else if (conv < kConv5) {
      map[node.name] = {fmt::format("backbone.extra.0.{}", 1 + 2 * (conv - kConv4)), ""};
    } else {
      map[node.name] = {fmt::format("backbone.extra.0.7.{}", 1 + 2 * (conv - kConv5)), ""};
    }
  }
  add_l2_norm(map, graph, "backbone.scale_weight");
  const auto levels = extra_levels(graph);
  for (size_t level = 0; level < levels.size(); ++level) {
    for (size_t i = 0; i < levels[level].size(); ++i) {
      map[graph.nodes[levels[level][i]].name] = {
          fmt::format("backbone.extra.{}.{}", level + 1, 2 * i), ""};
    }
  }
  add_heads(map, graph, names,
            {"head.classification_head.module_list.", "head.regression_head.module_list.", ""});
  return map;
}

}  // namespace ssdq
