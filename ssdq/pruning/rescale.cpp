#include "ssdq/pruning/rescale.h"

#include <torch/torch.h>

namespace ssdq {
namespace {

torch::Tensor kept_part(const torch::Tensor& weight, const Graph& graph, NodeId id,
                        const ChannelUnits& units, const KeptUnits& kept) {
  const auto select = [&](const torch::Tensor& tensor, int64_t dim, NodeId node) {
    return tensor.index_select(dim, torch::tensor(kept_channels(units, node, kept)));
  };
  const auto rows = select(weight, 0, id);
  const bool dense = std::get<Conv>(graph.nodes[id].op).groups == 1;
  return dense ? select(rows, 1, graph.nodes[id].inputs.front()) : rows;
}

// By output channel: the factor that brings `before` nearest to `after`; 1 without one.
torch::Tensor factors(const torch::Tensor& before, const torch::Tensor& after) {
  const auto squares = before.square().sum(std::vector<int64_t>{1, 2, 3});
  const auto factor = (before * after).sum(std::vector<int64_t>{1, 2, 3}) / squares;
  return torch::where((squares > 0) & (factor > 0), factor, torch::ones_like(factor));
}

}  // namespace

std::vector<std::string> rescale_statistics(GraphModuleImpl& whole, const ChannelUnits& units,
                                            const KeptUnits& kept, GraphModuleImpl& compact) {
  const torch::NoGradGuard no_grad;
  const Graph& graph = whole.graph();
  std::vector<std::string> left;
  for (size_t i = 0; i < whole.convolutions().size(); ++i) {
    const auto& [name, big] = whole.convolutions()[i];
    ConvBlock small = compact.convolutions()[i].second;
    ConvBlock large = big;
    if (!large->options().weight_quantizer || large->folds_first()) {
      continue;
    }
    const auto before = kept_part(large->effective_weight(), graph, graph.find(name), units, kept);
    const auto after = small->effective_weight();
    if (torch::equal(before, after)) {
      continue;
    }
    const auto factor = factors(before, after);
    if (small->bn) {
      const double eps = small->bn->options.eps();
      small->bn->running_mean.mul_(factor);
      small->bn->running_var.add_(eps).mul_(factor.square()).sub_(eps).clamp_min_(0);
    } else if ((factor - 1).abs().max().item<double>() > 0.01) {
      left.push_back(name);
    }
  }
  return left;
}

}  // namespace ssdq
