#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ssdq/graph/graph.h"

namespace ssdq::testing {

inline Conv conv(Activation activation) {
  Conv result;
  result.out_channels = 4;
  result.activation = activation;
  return result;
}

// A graph of nodes by name.
class PolicyGraph {
 public:
  NodeId add(const std::string& name, Op op, std::vector<NodeId> inputs,
             std::optional<bool> quantized = std::nullopt) {
    Node node;
    node.name = name;
    node.op = std::move(op);
    node.inputs = std::move(inputs);
    node.quantization.enabled = quantized;
    graph.nodes.push_back(std::move(node));
    return static_cast<NodeId>(graph.nodes.size()) - 1;
  }

  Graph graph;
};

}  // namespace ssdq::testing
