#pragma once

#include <map>
#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/graph/graph.h"

namespace ssdq {

// How the inputs of an add or concat are quantized.
enum class MergeInputs {
  kNone,     // no add or concat
  kShared,   // one quantizer for all inputs
  kSeparate  // one for each input
};

// How one convolution, or the inputs of one add or concat, are quantized.
struct NodeQuantization {
  int wbits = 32;            // convolutions
  int abits = 32;            // of the input
  bool input_signed = true;  // may an input tensor be negative?
  std::string type;          // registered method, lower case
  Options options;           // of that method
  MergeInputs merge = MergeInputs::kNone;
  std::vector<bool> inputs_signed;  // adds and concats: input_signed of each
};

bool operator==(const NodeQuantization& a, const NodeQuantization& b);

using QuantizationPlan = std::map<std::string, NodeQuantization>;  // by node name

// What is done with a node, and why, for reports.
struct NodeDecision {
  std::string node;
  std::string kind;  // as kind_name() gives
  bool quantized = false;
  std::string reason;    // "prediction head; QUANTIZATION.FINAL is false"
  NodeQuantization how;  // when quantized
};

// False when QUANTIZATION.TYPE is "none" or "no", in any case.
bool quantization_enabled(const QuantizationConfig& config);

// Whether each node's output may hold negative numbers, in node order. Follows the signs through
// pools, concatenations, sums and normalisations from the activations that decide them. The learned
// scales of an L2Norm count as positive, as they start.
std::vector<bool> signed_outputs(const Graph& graph);

// A decision for each node but the input and the outputs, in node order. Backbone convolutions
// follow LAYERS, prediction heads (nodes "head.*") FINAL, adds and concats of several inputs
// MERGE_INPUTS. Widths: QUANTIZATION's, then those of the cfg section, then FIRST_BITS and
// FINAL_BITS; last the rules of POLICY in their order. A rule that names another TYPE starts from
// no OPTIONS (the config's if it is the config's TYPE). A convolution whose widths are both 32 is
// not quantized. Rules have no effect when quantization is not enabled. Throws ConfigError for a
// rule that matches nothing that can be quantized.
std::vector<NodeDecision> decide_quantization(const Graph& graph, const QuantizationConfig& config);

// The nodes that decide_quantization() quantizes.
QuantizationPlan plan_quantization(const Graph& graph, const QuantizationConfig& config);

}  // namespace ssdq
