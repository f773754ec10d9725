#include "ssdq/quantization/policy.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include "ssdq/quantization/policy_match.h"
#include "ssdq/structures/code_width.h"
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

bool is_head(const Node& node) { return starts_with(node.name, "head."); }

// Does FINAL name this head?
bool is_final(const Node& node, const std::string& heads) {
  if (heads == "true") return true;
  return heads != "false" && starts_with(node.name, "head." + heads + ".");
}

// Decides about the nodes of one graph.
class Planner {
 public:
  Planner(const Graph& graph, const QuantizationConfig& config)
      : config_(config), type_(to_lower(config.type)), is_signed_(signed_outputs(graph)) {
    for (const Node& node : graph.nodes) {
      if (!std::holds_alternative<Conv>(node.op) || is_head(node)) continue;
      if (first_.empty()) first_ = node.name;
      marked_only_ = marked_only_ || node.quantization.enabled.value_or(false);
    }
    if (config.layers != "auto") marked_only_ = config.layers == "marked";
  }

  NodeDecision decide(const Node& node) const {
    NodeDecision decision{node.name, kind_name(node.op), false, {}, {}};
    if (!is_quantizable(node)) {
      decision.reason = float_reason(node);
      return decision;
    }
    decision.how.type = type_;
    decision.how.options = config_.options;
    if (std::holds_alternative<Conv>(node.op)) {
      decide_convolution(node, decision);
    } else {
      decide_merge(node, decision);
    }
    for (size_t i = 0; i < config_.policy.size(); ++i) {
      if (rule_matches(config_.policy[i], node)) apply(config_.policy[i], i, node, decision);
    }
    leave_full_width(node, decision);
    if (!decision.quantized) decision.how = {};
    return decision;
  }

 private:
  static std::string float_reason(const Node& node) {
    if (std::holds_alternative<SqueezeExcite>(node.op))
      return "squeeze-excite is computed in float";
    if (std::holds_alternative<L2Norm>(node.op)) return "L2Norm is computed in float";
    if (std::holds_alternative<Upsample>(node.op)) return "upsampling keeps the codes of its input";
    if (std::holds_alternative<Concat>(node.op)) return "a route to one layer is its input";
    if (const auto* pool = std::get_if<Pool>(&node.op)) {
      return pool->kind == PoolKind::kMax ? "pooling keeps the codes of its input"
                                          : "average pooling is computed in float";
    }
    return "it has no quantizer";
  }

  void decide_convolution(const Node& node, NodeDecision& decision) const {
    set_own_widths(node, decision.how);
    decision.how.input_signed = is_signed_[node.inputs.front()];
    if (is_head(node)) {
      decision.quantized = is_final(node, config_.final_layer);
      decision.reason = "prediction head; QUANTIZATION.FINAL is " + config_.final_layer;
      if (decision.quantized) set_both(config_.final_bits, decision.how);
      return;
    }
    const std::optional<bool> mark = node.quantization.enabled;
    decision.quantized = mark.value_or(!marked_only_);
    if (mark) {
      decision.reason = *mark ? "the cfg marks it" : "the cfg says quantization=0";
    } else {
      decision.reason =
          marked_only_ ? "the cfg does not mark it" : "all backbone convolutions are quantized";
    }
    if (node.name == first_ && config_.first_bits > 0 && mark != false) {
      set_both(config_.first_bits, decision.how);
      decision.quantized = true;
      decision.reason =
          fmt::format("first convolution; QUANTIZATION.FIRST_BITS is {}", config_.first_bits);
    }
  }

  void decide_merge(const Node& node, NodeDecision& decision) const {
    decision.quantized = config_.merge_inputs != "float";
    decision.reason = "QUANTIZATION.MERGE_INPUTS is " + config_.merge_inputs;
    decision.how.abits = config_.abits;
    decision.how.merge =
        config_.merge_inputs == "separate" ? MergeInputs::kSeparate : MergeInputs::kShared;
    for (const NodeId input : node.inputs) decision.how.inputs_signed.push_back(is_signed_[input]);
    const auto& signs = decision.how.inputs_signed;
    decision.how.input_signed = std::find(signs.begin(), signs.end(), true) != signs.end();
  }

  void set_own_widths(const Node& node, NodeQuantization& how) const {
    how.wbits = node.quantization.wbits.value_or(config_.wbits);
    how.abits = node.quantization.abits.value_or(config_.abits);
  }

  static void set_both(int bits, NodeQuantization& how) {
    if (bits > 0) how.wbits = how.abits = bits;
  }

  void apply(const QuantizationRule& rule, size_t index, const Node& node,
             NodeDecision& decision) const {
    NodeQuantization& how = decision.how;
    const bool is_conv = std::holds_alternative<Conv>(node.op);
    if (rule.skip) {
      decision.quantized = !*rule.skip;
      decision.reason = fmt::format("POLICY[{}] ({}) {} it", index, rule.match,
                                    *rule.skip ? "skips" : "quantizes");
      // FIRST_BITS 32 and FINAL_BITS 32 are a wish for float, which this rule overrules.
      if (decision.quantized && is_conv && is_full_width(how)) set_own_widths(node, how);
    }
    if (rule.type && *rule.type != how.type) {
      how.type = *rule.type;
      how.options = how.type == type_ ? config_.options : Options{};
    }
    if (rule.options) {
      for (const auto& [name, value] : *rule.options) how.options[name] = value;
    }
    if (rule.wbits && is_conv) how.wbits = *rule.wbits;
    if (rule.abits) how.abits = *rule.abits;
  }

  static bool is_full_width(const NodeQuantization& how) {
    return how.wbits == kFloatBits && how.abits == kFloatBits;
  }

  // wbits of a merge stay at 32, so that its abits alone count.
  void leave_full_width(const Node& node, NodeDecision& decision) const {
    if (!decision.quantized || !is_full_width(decision.how)) return;
    decision.quantized = false;
    if (node.name == first_ && config_.first_bits == kFloatBits) return;
    const bool is_conv = std::holds_alternative<Conv>(node.op);
    if (is_head(node) && config_.final_bits == kFloatBits) {
      decision.reason = "prediction head; QUANTIZATION.FINAL_BITS is 32";
    } else {
      decision.reason = is_conv ? "both widths are 32 bits" : "its inputs have 32 bits";
    }
  }

  const QuantizationConfig& config_;
  std::string type_;
  std::vector<bool> is_signed_;
  std::string first_;  // convolution
  bool marked_only_ = false;
};

bool has_decision(const Node& node) {
  return !std::holds_alternative<Input>(node.op) && !std::holds_alternative<Output>(node.op);
}

}  // namespace

bool operator==(const NodeQuantization& a, const NodeQuantization& b) {
  return std::tie(a.wbits, a.abits, a.input_signed, a.type, a.options, a.merge, a.inputs_signed) ==
         std::tie(b.wbits, b.abits, b.input_signed, b.type, b.options, b.merge, b.inputs_signed);
}

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

std::vector<NodeDecision> decide_quantization(const Graph& graph,
                                              const QuantizationConfig& config) {
  std::vector<NodeDecision> decisions;
  const bool enabled = quantization_enabled(config);
  if (enabled) check_rules(graph, config.policy);
  const Planner planner(graph, config);
  for (const Node& node : graph.nodes) {
    if (!has_decision(node)) continue;
    decisions.push_back(
        enabled
            ? planner.decide(node)
            : NodeDecision{node.name, kind_name(node.op), false, "QUANTIZATION.TYPE is none", {}});
  }
  return decisions;
}

QuantizationPlan plan_quantization(const Graph& graph, const QuantizationConfig& config) {
  QuantizationPlan plan;
  for (const NodeDecision& decision : decide_quantization(graph, config)) {
    if (decision.quantized) plan[decision.node] = decision.how;
  }
  return plan;
}

}  // namespace ssdq
