#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq::testing {

inline NodeId append(Graph& graph, const std::string& name, Op op,
                     std::vector<NodeId> inputs = {}) {
  Node node;
  node.name = name;
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  graph.nodes.push_back(std::move(node));
  return static_cast<NodeId>(graph.nodes.size()) - 1;
}

// Square kernel, "same" padding for stride 1.
inline Conv conv(int out_channels, int kernel, int stride, bool batch_norm,
                 Activation activation = Activation::kRelu) {
  Conv result;
  result.out_channels = out_channels;
  result.kernel = {kernel, kernel};
  result.stride = {stride, stride};
  result.padding = {kernel / 2, kernel / 2};
  if (batch_norm) {
    result.batch_norm = BatchNorm{};
  }
  result.activation = activation;
  return result;
}

// Two levels, 2 and 3 boxes at a location, 3 classes; a 3 x 12 x 16 image gives maps of 6 x 8 and 3
// x 4.
inline Graph small_detector() {
  constexpr int kClasses = 3;
  Graph graph;
  append(graph, "input", Input{3, {12, 16}});
  NodeId last = append(graph, "backbone.0", conv(8, 3, 1, true), {0});
  graph.features.push_back(append(graph, "backbone.1", conv(8, 3, 2, true), {last}));
  last = graph.features[0];
  graph.nodes[last].quantization.enabled = true;
  graph.features.push_back(append(graph, "backbone.2", conv(6, 3, 2, true), {last}));
  for (int level = 0; level < 2; ++level) {
    const std::string suffix = std::to_string(level);
    const int boxes = 2 + level;
    NodeId head =
        append(graph, "head.box." + suffix, conv(boxes * 4, 3, 1, false, Activation::kLinear),
               {graph.features[level]});
    append(graph, "head.box." + suffix + ".out", Output{OutputRole::kBox, level}, {head});
    head =
        append(graph, "head.cls." + suffix,
               conv(boxes * kClasses, 3, 1, false, Activation::kLinear), {graph.features[level]});
    append(graph, "head.cls." + suffix + ".out", Output{OutputRole::kClass, level}, {head});
  }
  return graph;
}

}  // namespace ssdq::testing
