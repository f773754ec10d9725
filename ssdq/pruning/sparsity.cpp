#include "ssdq/pruning/sparsity.h"

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {

PenalisedScales penalised_scales(const GraphModuleImpl& network, PruneScope scope) {
  const Graph& graph = network.graph();
  const auto units = channel_units(graph);
  std::set<NodeId> inside, outside;
  for (const auto& group : channel_groups(graph, units)) {
    auto& nodes = in_scope(group, scope) ? inside : outside;
    nodes.insert(group.convs.begin(), group.convs.end());
    nodes.insert(group.depthwise.begin(), group.depthwise.end());
  }
  PenalisedScales scales;
  for (const auto& [name, block] : network.convolutions()) {
    const NodeId id = graph.find(name);
    if (block->bn && inside.count(id) > 0 && outside.count(id) == 0) {
      scales.emplace_back(name + ".bn.weight", block->bn->weight);
    }
  }
  return scales;
}

std::set<std::string> names_of(const PenalisedScales& scales) {
  std::set<std::string> names;
  for (const auto& scale : scales) {
    names.insert(scale.first);
  }
  return names;
}

void add_penalty(const PenalisedScales& scales, double rate) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, gamma] : scales) {
    if (gamma.grad().defined()) {
      gamma.grad().add_(gamma.sign(), rate);
    }
  }
}

SparsityStatus sparsity_status(const PenalisedScales& scales) {
  const torch::NoGradGuard no_grad;
  SSDQ_CHECK(!scales.empty(), "there are no scales to judge the sparsity of");
  std::vector<torch::Tensor> all;
  for (const auto& scale : scales) {
    all.push_back(scale.second.detach().abs());
  }
  const auto sorted = std::get<0>(torch::cat(all).to(torch::kCPU, torch::kFloat64).sort());
  SparsityStatus status;
  status.below = (sorted < 0.01 * sorted.mean()).to(torch::kFloat64).mean().item<double>();
  status.middle = sorted[sorted.size(0) / 2].item<double>();
  return status;
}

}  // namespace ssdq
