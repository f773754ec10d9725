#include "ssdq/pruning/magnitude.h"

#include <algorithm>
#include <set>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::set<std::string> weight_names(const Graph& graph) {
  std::set<std::string> names;
  for (const Node& node : graph.nodes) {
    if (std::holds_alternative<Conv>(node.op)) names.insert(node.name + ".weight");
  }
  return names;
}

// [n] float on the CPU, in the order of the state.
torch::Tensor magnitudes_of(const State& state, std::set<std::string> wanted) {
  std::vector<torch::Tensor> parts;
  for (const auto& [name, tensor] : state) {
    if (wanted.erase(name) > 0) {
      parts.push_back(tensor.detach().to(torch::kCPU, torch::kFloat).abs().flatten());
      SSDQ_CHECK(parts.back().isfinite().all().item<bool>(),
                 "{}: holds values that are not finite; expected trained weights", name);
    }
  }
  SSDQ_CHECK(wanted.empty(), "{}: the weight is missing ({} in all)", *wanted.begin(),
             wanted.size());
  return parts.empty() ? torch::empty({0}) : torch::cat(parts);
}

// The `count` smallest, the first of equals: [n] bool.
torch::Tensor smallest(const torch::Tensor& magnitudes, int64_t count) {
  if (count == 0) {
    return torch::zeros_like(magnitudes, torch::kBool);
  }
  const float* values = magnitudes.data_ptr<float>();
  std::vector<float> sorted(values, values + magnitudes.numel());
  std::nth_element(sorted.begin(), sorted.begin() + (count - 1), sorted.end());
  const float threshold = sorted[static_cast<size_t>(count - 1)];
  const torch::Tensor mask = magnitudes < threshold;
  const torch::Tensor equals = (magnitudes == threshold).nonzero().flatten();
  return mask.index_fill(0, equals.narrow(0, 0, count - mask.sum().item<int64_t>()), true);
}

}  // namespace

SparseState prune_smallest_weights(const Graph& graph, const State& state, double amount) {
  SSDQ_CHECK_CONFIG(amount >= 0 && amount < 1,
                    "the share of weights to set to 0 is {}; expected at least 0 and less than 1, "
                    "such as 0.5",
                    amount);
  const torch::NoGradGuard no_grad;
  const auto names = weight_names(graph);
  const torch::Tensor magnitudes = magnitudes_of(state, names);
  const torch::Tensor mask =
      smallest(magnitudes, static_cast<int64_t>(amount * static_cast<double>(magnitudes.numel())));
  SparseState sparse;
  for (const auto& [name, tensor] : state) {
    torch::Tensor values = tensor.detach();
    if (names.count(name) > 0) {
      const auto gone = mask.narrow(0, sparse.total, values.numel()).view(values.sizes());
      values = values.masked_fill(gone.to(values.device()), 0);
      sparse.weights.push_back({name, (values == 0).sum().item<int64_t>(), values.numel()});
      sparse.zeros += sparse.weights.back().zeros;
      sparse.total += values.numel();
    }
    sparse.state.emplace_back(name, values);
  }
  return sparse;
}

}  // namespace ssdq
