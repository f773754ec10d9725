#include <utility>

#include <fmt/format.h>

#include "ssdq/importing/graph_parts.h"
#include "ssdq/importing/name_maps.h"

namespace ssdq {
namespace {

using Blocks = std::vector<std::vector<NodeId>>;

Blocks classifier_blocks(const Graph& graph) {
  return mobile_blocks(graph, layers_of(graph, classifier_nodes(graph)));
}

// A convolution and its batch norm: modules `number` and `number + 1` of `prefix`.
LayerNames pair_at(const std::string& prefix, size_t number) {
  return {fmt::format("{}{}", prefix, number), fmt::format("{}{}", prefix, number + 1)};
}

// torchvision's MobileNetV3 block: each layer is a Sequential of convolution and batch norm, or a
// squeeze-excite with fc1 and fc2. `stem` ends where the layer's number begins.
void add_v3_layers(NameMap& map, const Graph& graph, const std::string& stem,
                   const std::vector<NodeId>& layers, size_t from) {
  for (size_t i = 0; i < layers.size(); ++i) {
    const Node& node = graph.nodes[layers[i]];
    const std::string layer = fmt::format("{}{}.", stem, from + i);
    map[node.name] = std::holds_alternative<SqueezeExcite>(node.op)
                         ? LayerNames{layer + "fc1", layer + "fc2"}
                         : pair_at(layer, 0);
  }
}

void add_v3_block(NameMap& map, const Graph& graph, const std::string& module,
                  const std::vector<NodeId>& layers) {
  if (layers.size() == 1) {
    map[graph.nodes[layers.front()].name] = pair_at(module + ".", 0);
  } else {
    add_v3_layers(map, graph, module + ".block.", layers, 0);
  }
}

NameMap efficientnet(const Graph& graph, const std::string& prefix) {
  NameMap map;
  const auto blocks = classifier_blocks(graph);
  size_t index = 0;
  for (size_t block = 0; block < blocks.size(); ++block) {
    if (blocks[block].size() == 1) {
      map[graph.nodes[blocks[block].front()].name] = {prefix + "_conv_stem", prefix + "_bn0"};
      continue;
    }
    const std::string stem = fmt::format("{}_blocks.{}.", prefix, index++);
    for (const NodeId id : blocks[block]) {
      const Node& node = graph.nodes[id];
      LayerNames names{stem + "_expand_conv", stem + "_bn0"};
      if (is_depthwise(node)) {
        names = {stem + "_depthwise_conv", stem + "_bn1"};
      } else if (std::holds_alternative<SqueezeExcite>(node.op)) {
        names = {stem + "_se_reduce", stem + "_se_expand"};
      } else if (id == blocks[block].back()) {
        names = {stem + "_project_conv", stem + "_bn2"};
      }
      map[node.name] = names;
    }
  }
  return map;
}

}  // namespace

size_t add_flat_blocks(NameMap& map, const Graph& graph, const std::string& prefix,
                       const std::string& inner, const Blocks& blocks, size_t first) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::string module = fmt::format("{}{}.", prefix, first + i);
    const std::string stem = blocks[i].size() == 1 ? module : module + inner;
    for (size_t layer = 0; layer < blocks[i].size(); ++layer) {
      map[graph.nodes[blocks[i][layer]].name] = pair_at(stem, 3 * layer);
    }
  }
  return first + blocks.size();
}

void add_plain_extras(NameMap& map, const Graph& graph, const std::string& prefix) {
  const auto levels = extra_levels(graph);
  for (size_t level = 0; level < levels.size(); ++level) {
    const auto& layers = levels[level];
    for (size_t i = 0; i < layers.size(); ++i) {
      const bool separable = layers.size() == 3 && i > 0;
      map[graph.nodes[layers[i]].name] = {separable
                                              ? fmt::format("{}{}.2.{}", prefix, level, 2 * (i - 1))
                                              : fmt::format("{}{}.{}", prefix, level, 2 * i),
                                          ""};
    }
  }
}

void add_inverted_residuals(NameMap& map, const Graph& graph, const std::string& prefix,
                            const Blocks& blocks) {
  for (size_t block = 0; block < blocks.size(); ++block) {
    const auto& layers = blocks[block];
    if (layers.size() == 1) {
      map[graph.nodes[layers.front()].name] = pair_at(fmt::format("{}{}.", prefix, block), 0);
      continue;
    }
    const std::string stem = fmt::format("{}{}.conv.", prefix, block);
    for (size_t i = 0; i + 1 < layers.size(); ++i) {
      map[graph.nodes[layers[i]].name] = pair_at(fmt::format("{}{}.", stem, i), 0);
    }
    map[graph.nodes[layers.back()].name] = pair_at(stem, layers.size() - 1);
  }
}

NameMap map_lufficc_mobilenet_v2(const Graph& graph, const FileNames& names) {
  NameMap map;
  add_inverted_residuals(map, graph, "backbone.features.", classifier_blocks(graph));
  add_inverted_residuals(map, graph, "backbone.extras.", extra_levels(graph));
  add_lufficc_heads(map, graph, names);
  return map;
}

NameMap map_efficientnet(const Graph& graph, const FileNames&) { return efficientnet(graph, ""); }

NameMap map_lufficc_efficientnet(const Graph& graph, const FileNames& names) {
  NameMap map = efficientnet(graph, "backbone.");
  add_plain_extras(map, graph, "backbone.extras.");
  add_lufficc_heads(map, graph, names);
  return map;
}

NameMap map_pytorch_ssd_mobilenet(const Graph& graph, const FileNames& names) {
  NameMap map;
  const bool v2 = names.count("base_net.1.conv.0.weight") > 0;
  add_flat_blocks(map, graph, "base_net.", v2 ? "conv." : "", classifier_blocks(graph));
  if (v2) {
    add_flat_blocks(map, graph, "extras.", "conv.", extra_levels(graph));
  } else {
    add_plain_extras(map, graph, "extras.");
  }
  add_heads(map, graph, names, {"classification_headers.", "regression_headers.", ""});
  return map;
}

NameMap map_torchvision_mobilenet_v2(const Graph& graph, const FileNames&) {
  NameMap map;
  add_inverted_residuals(map, graph, "features.", classifier_blocks(graph));
  return map;
}

NameMap map_torchvision_mobilenet_v3(const Graph& graph, const FileNames&) {
  NameMap map;
  const auto blocks = classifier_blocks(graph);
  for (size_t block = 0; block < blocks.size(); ++block) {
    add_v3_block(map, graph, fmt::format("features.{}", block), blocks[block]);
  }
  return map;
}

// The names of TensorFlow's model zoo as its converters to Caffe and ncnn give them: blocks "conv",
// "conv_1", ... of "expand", "depthwise" and "project", extra levels numbered from 2 by the layers
// 1 (1x1) and 2 (separable), and heads after the layer that they read.
NameMap map_ncnn_mobilenet_v2_ssdlite(const Graph& graph, const FileNames&) {
  NameMap map;
  const auto set = [&](NodeId id, const std::string& layer) {
    map[graph.nodes[id].name] = {layer, ""};
  };
  const auto blocks = classifier_blocks(graph);
  for (size_t block = 0; block < blocks.size(); ++block) {
    const auto& layers = blocks[block];
    if (layers.size() == 1) {
      set(layers.front(), block == 0 ? "Conv" : "Conv_1");
      continue;
    }
    const std::string stem = block == 1 ? "conv/" : fmt::format("conv_{}/", block - 1);
    for (const NodeId id : layers) {
      set(id, stem + (is_depthwise(graph.nodes[id]) ? "depthwise"
                      : id == layers.back()         ? "project"
                                                    : "expand"));
    }
  }
  const auto levels = extra_levels(graph);
  for (size_t level = 0; level < levels.size(); ++level) {
    for (const NodeId id : levels[level]) {
      const std::string separable = fmt::format("layer_19_2_{}", level + 2);
      set(id, is_depthwise(graph.nodes[id]) ? separable + "/depthwise"
              : id == levels[level].back()  ? separable
                                            : fmt::format("layer_19_1_{}", level + 2));
    }
  }
  for (const auto& [role, kind] :
       {std::pair{OutputRole::kClass, "_mbox_conf"}, std::pair{OutputRole::kBox, "_mbox_loc"}}) {
    const auto heads = head_levels(graph, role);
    for (size_t level = 0; level < heads.size(); ++level) {
      const auto feature = map.find(graph.nodes[graph.features[level]].name);
      for (const NodeId id : heads[level]) {
        const std::string layer = feature == map.end() ? "" : feature->second.first + kind;
        set(id, is_depthwise(graph.nodes[id]) ? layer + "/depthwise" : layer);
      }
    }
  }
  return map;
}

// The classifier is cut behind the first convolution of block 13: "features.0" holds all up to it,
// "features.1.0" the rest of that block, "features.1.1" and so on the others.
NameMap map_torchvision_ssdlite320(const Graph& graph, const FileNames&) {
  constexpr size_t kCut = 13;
  NameMap map;
  const auto blocks = classifier_blocks(graph);
  for (size_t block = 0; block < blocks.size(); ++block) {
    const auto& layers = blocks[block];
    if (block < kCut) {
      add_v3_block(map, graph, fmt::format("backbone.features.0.{}", block), layers);
    } else if (block > kCut) {
      add_v3_block(map, graph, fmt::format("backbone.features.1.{}", block - kCut), layers);
    } else {
      map[graph.nodes[layers.front()].name] =
          pair_at(fmt::format("backbone.features.0.{}.", kCut), 0);
      add_v3_layers(map, graph, "backbone.features.1.0.", {layers.begin() + 1, layers.end()}, 1);
    }
  }
  const auto levels = extra_levels(graph);
  for (size_t level = 0; level < levels.size(); ++level) {
    add_v3_layers(map, graph, fmt::format("backbone.extra.{}.", level), levels[level], 0);
  }
  for (const OutputRole role : {OutputRole::kClass, OutputRole::kBox}) {
    const auto heads = head_levels(graph, role);
    const char* kind = role == OutputRole::kClass ? "classification" : "regression";
    for (size_t level = 0; level < heads.size(); ++level) {
      const std::string stem = fmt::format("head.{}_head.module_list.{}.", kind, level);
      map[graph.nodes[heads[level].front()].name] = pair_at(stem + "0.", 0);
      map[graph.nodes[heads[level].back()].name] = {stem + "1", ""};
    }
  }
  return map;
}

}  // namespace ssdq
