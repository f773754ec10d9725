#include "ssdq/pruning/taylor.h"

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// What mask_state() makes 0 for a channel that is gone, [out, ...] each.
std::vector<torch::Tensor> removed_values(const ConvBlock& block) {
  if (const auto& bn = block->bn) {
    return {bn->weight, bn->bias};
  }
  return block->bias.defined() ? std::vector<torch::Tensor>{block->weight, block->bias}
                               : std::vector<torch::Tensor>{block->weight};
}

// [out] on the CPU.
torch::Tensor gradient_times_value(const torch::Tensor& parameter) {
  const auto products = parameter.to(torch::kFloat64) * parameter.grad().to(torch::kFloat64);
  return products.reshape({parameter.size(0), -1}).sum(1).to(torch::kCPU).contiguous();
}

}  // namespace

TaylorImportance::TaylorImportance(const GraphModuleImpl& network, const ChannelUnits& units,
                                   const std::vector<ChannelGroup>& groups)
    : scored_(static_cast<size_t>(units.count)), sums_(static_cast<size_t>(units.count)) {
  for (const auto& [name, block] : network.convolutions()) {
    members_.push_back({block, units.of[network.graph().find(name)]});
  }
  for (const auto& group : groups) {
    for (const int unit : group.units) scored_[unit] = true;
  }
}

void TaylorImportance::add() {
  const torch::NoGradGuard no_grad;
  std::vector<double> change(sums_.size());
  bool any = false;
  for (const Member& member : members_) {
    for (const torch::Tensor& parameter : removed_values(member.block)) {
      if (!parameter.grad().defined()) {
        continue;
      }
      any = true;
      const auto products = gradient_times_value(parameter);
      for (size_t c = 0; c < member.units.size(); ++c) {
        change[member.units[c]] += products.data_ptr<double>()[c];
      }
    }
  }
  SSDQ_CHECK(any, "importance taylor: no convolution has a gradient; expected a backward pass");
  for (size_t unit = 0; unit < sums_.size(); ++unit) {
    if (scored_[unit]) sums_[unit] += change[unit] * change[unit];
  }
  ++batches_;
}

std::vector<double> TaylorImportance::scores() const {
  SSDQ_CHECK(batches_ > 0, "importance taylor: no batch was seen; expected one or more");
  std::vector<double> scores = sums_;
  for (double& score : scores) score /= batches_;
  return scores;
}

}  // namespace ssdq
