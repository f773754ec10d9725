#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ssdq/export/integer_conv.h"
#include "ssdq/modeling/graph_module.h"

namespace ssdq {

// The codes of what enters convolutions, adds and concats, by node and input; none: floats.
using InputCodes = std::vector<std::vector<std::optional<ActivationCode>>>;

// A quantized network as integers.
struct IntegerGraph {
  std::map<std::string, IntegerConv> convolutions;  // by node name
  InputCodes inputs;
};

// Both of a network in evaluation mode. Throw Error naming the node whose method has no integers.
InputCodes input_codes(const GraphModuleImpl& network);
IntegerGraph integer_graph(GraphModuleImpl& network);

}  // namespace ssdq
