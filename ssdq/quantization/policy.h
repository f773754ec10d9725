#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// How one convolution is quantized.
struct NodeQuantization {
  int wbits = 32;
  int abits = 32;
  bool input_signed = true;  // may the input tensor be negative?
};

inline bool operator==(const NodeQuantization& a, const NodeQuantization& b) {
  return a.wbits == b.wbits && a.abits == b.abits && a.input_signed == b.input_signed;
}

using QuantizationPlan = std::map<std::string, NodeQuantization>;  // by node name

// False when QUANTIZATION.TYPE is "none" or "no", in any case.
bool quantization_enabled(const QuantizationConfig& config);

// Whether each node's output may hold negative numbers, in node order. Follows the signs through
// pools, concatenations, sums and normalisations from the activations that decide them.
std::vector<bool> signed_outputs(const Graph& graph);

// The convolutions to quantize: those whose cfg section asks for it and, with FINAL, the heads
// (nodes named "head.*"). Widths of the section win over the config's. Empty when quantization is
// not enabled.
QuantizationPlan plan_quantization(const Graph& graph, const QuantizationConfig& config);

}  // namespace ssdq
