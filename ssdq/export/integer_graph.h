#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ssdq/export/integer_conv.h"
#include "ssdq/modeling/graph_module.h"

namespace ssdq {

// A quantized network as integers.
struct IntegerGraph {
  std::map<std::string, IntegerConv> convolutions;  // by node name
  // The codes of what enters convolutions, adds and concats, by node and input; none: floats.
  std::vector<std::vector<std::optional<ActivationCode>>> inputs;
};

// Of a network in evaluation mode. Throws Error naming the node whose method has no integers.
IntegerGraph integer_graph(GraphModuleImpl& network);

}  // namespace ssdq
