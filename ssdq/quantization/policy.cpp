#include "ssdq/quantization/policy.h"

#include <algorithm>

#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

bool never_negative(Activation activation) {
  switch (activation) {
    case Activation::kRelu:
    case Activation::kRelu6:
    case Activation::kHSigmoid:
    case Activation::kSigmoid:
      return true;
    case Activation::kLinear:
    case Activation::kLeaky:
    case Activation::kHSwish:
    case Activation::kSwish:
      return false;
  }
  return false;
}

struct OutputSign {
  bool inputs_signed;  // is any input signed?

  bool operator()(const Input&) const { return true; }
  bool operator()(const Conv& conv) const { return !never_negative(conv.activation); }
  bool operator()(const Pool&) const { return inputs_signed; }
  bool operator()(const Add& add) const { return inputs_signed && !never_negative(add.activation); }
  bool operator()(const Concat&) const { return inputs_signed; }
  bool operator()(const Upsample&) const { return inputs_signed; }
  bool operator()(const SqueezeExcite& se) const {
    return (inputs_signed || !never_negative(se.gate)) && !never_negative(se.activation);
  }
  bool operator()(const L2Norm&) const { return inputs_signed; }
  bool operator()(const Output&) const { return inputs_signed; }
};

bool is_head(const Node& node) { return node.name.rfind("head.", 0) == 0; }

}  // namespace

bool quantization_enabled(const QuantizationConfig& config) {
  const std::string type = to_lower(config.type);
  return !type.empty() && type != "none" && type != "no";
}

std::vector<bool> signed_outputs(const Graph& graph) {
  std::vector<bool> result;
  for (const Node& node : graph.nodes) {
    const bool inputs_signed = std::any_of(node.inputs.begin(), node.inputs.end(),
                                           [&](NodeId id) { return bool{result[id]}; });
    result.push_back(std::visit(OutputSign{inputs_signed}, node.op));
  }
  return result;
}

QuantizationPlan plan_quantization(const Graph& graph, const QuantizationConfig& config) {
  QuantizationPlan plan;
  if (!quantization_enabled(config)) {
    return plan;
  }
  const std::vector<bool> is_signed = signed_outputs(graph);
  for (const Node& node : graph.nodes) {
    const bool wanted = node.quantization.enabled || (config.final_layer && is_head(node));
    if (wanted && std::holds_alternative<Conv>(node.op)) {
      plan[node.name] = {node.quantization.wbits.value_or(config.wbits),
                         node.quantization.abits.value_or(config.abits),
                         is_signed[node.inputs.front()]};
    }
  }
  return plan;
}

}  // namespace ssdq
