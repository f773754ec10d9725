#include "ssdq/export/folded_state.h"

#include <map>

#include <torch/torch.h>

#include "ssdq/modeling/state.h"

namespace ssdq {

State folded_state(GraphModuleImpl& module) {
  const torch::NoGradGuard no_grad;
  module.fold_batch_norm();
  for (const auto& entry : module.convolutions()) {
    ConvBlock block = entry.second;
    block->weight.set_data(block->effective_weight());
  }
  State kept;
  for (auto& entry : state(module)) {
    if (entry.first.find(".weight_quantizer.") == std::string::npos) {
      kept.push_back(std::move(entry));
    }
  }
  return kept;
}

State unfold_batch_norm(const Graph& graph, const State& folded) {
  std::map<std::string, double> eps;  // by the bias that becomes a batch norm's
  for (const Node& node : graph.nodes) {
    const auto* conv = std::get_if<Conv>(&node.op);
    if (conv != nullptr && conv->batch_norm) {
      eps[node.name + ".bias"] = conv->batch_norm->eps;
    }
  }
  State result;
  for (const auto& [name, tensor] : folded) {
    const auto found = eps.find(name);
    if (found == eps.end()) {
      result.emplace_back(name, tensor);
      continue;
    }
    const std::string bn = name.substr(0, name.size() - 4) + "bn.";
    result.emplace_back(bn + "weight", torch::ones_like(tensor));
    result.emplace_back(bn + "bias", tensor);
    result.emplace_back(bn + "running_mean", torch::zeros_like(tensor));
    result.emplace_back(bn + "running_var", torch::full_like(tensor, 1 - found->second));
    result.emplace_back(bn + "num_batches_tracked", torch::zeros({}, torch::kLong));
  }
  return result;
}

}  // namespace ssdq
