#include "ssdq/quantization/policy_pre_activation.h"

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// The activation that the node can leave to its readers, or linear.
Activation separable_activation(const Node& node) {
  Activation activation = Activation::kLinear;
  if (const auto* conv = std::get_if<Conv>(&node.op)) activation = conv->activation;
  if (const auto* add = std::get_if<Add>(&node.op)) activation = add->activation;
  const bool is_clamp = activation == Activation::kRelu || activation == Activation::kRelu6;
  return is_clamp ? activation : Activation::kLinear;
}

// Gives relu and relu6 the same result before and after it.
bool commutes(const Node& node) {
  if (const auto* pool = std::get_if<Pool>(&node.op)) return pool->kind == PoolKind::kMax;
  return std::holds_alternative<Upsample>(node.op) ||
         (std::holds_alternative<Concat>(node.op) && node.inputs.size() == 1);
}

std::vector<bool> find_binarized(const Graph& graph, const std::set<std::string>& names) {
  std::vector<bool> result(graph.nodes.size(), false);
  for (const std::string& name : names) {
    const NodeId id = graph.find(name);
    SSDQ_CHECK(std::holds_alternative<Conv>(graph.nodes[id].op),
               "node '{}' is no convolution but {}; only convolutions take binary inputs", name,
               kind_name(graph.nodes[id].op));
    result[id] = true;
  }
  return result;
}

}  // namespace

PreActivationPlan plan_pre_activations(const Graph& graph, const std::set<std::string>& binarized) {
  const size_t count = graph.nodes.size();
  const std::vector<bool> is_binarized = find_binarized(graph, binarized);
  // Is a binarized convolution reached from the node's output? Readers come after what they read.
  std::vector<bool> reaches(count, false);
  for (size_t i = count; i-- > 0;) {
    const bool wants = is_binarized[i] || (commutes(graph.nodes[i]) && reaches[i]);
    for (const NodeId input : graph.nodes[i].inputs) reaches[input] = reaches[input] || wants;
  }
  PreActivationPlan plan;
  for (size_t i = 0; i < count; ++i) {
    const Node& node = graph.nodes[i];
    const bool passes = commutes(node) && reaches[i];
    plan.apply.emplace_back();
    for (const NodeId input : node.inputs) {
      const bool is_pending = plan.pending[input] != Activation::kLinear;
      plan.apply.back().push_back(is_pending && !passes && !is_binarized[i]);
    }
    const Activation own = separable_activation(node);
    plan.withheld.push_back(reaches[i] && own != Activation::kLinear);
    plan.pending.push_back(plan.withheld.back() ? own
                           : passes             ? plan.pending[node.inputs.front()]
                                                : Activation::kLinear);
  }
  return plan;
}

}  // namespace ssdq
