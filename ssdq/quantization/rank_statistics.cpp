#include "ssdq/quantization/rank_statistics.h"

#include <tuple>
#include <utility>

#include <torch/torch.h>

namespace ssdq {
namespace {

struct Current {
  StatisticsReducerPtr ranges, batch_norm;
};

Current& current() {
  thread_local Current value;
  return value;
}

}  // namespace

StatisticsScope::StatisticsScope(StatisticsReducerPtr reducer, bool batch_norm)
    : outer_ranges_(current().ranges), outer_batch_norm_(current().batch_norm) {
  current() = {reducer, batch_norm ? reducer : nullptr};
}

StatisticsScope::~StatisticsScope() {
  current() = {std::move(outer_ranges_), std::move(outer_batch_norm_)};
}

StatisticsReducerPtr range_statistics() { return current().ranges; }
StatisticsReducerPtr batch_norm_statistics() { return current().batch_norm; }

int ranks_of_batch() {
  const auto& reducer = current().ranges;
  return reducer ? reducer->ranks() : 1;
}

std::pair<torch::Tensor, torch::Tensor> batch_extremes(const torch::Tensor& min,
                                                       const torch::Tensor& max) {
  const auto reducer = range_statistics();
  if (!reducer) {
    return {min, max};
  }
  const torch::Tensor both = torch::stack({-min, max}).to(torch::kFloat);
  reducer->max(both);
  return {-both[0], both[1]};
}

TensorMoments batch_moments(const torch::Tensor& x, bool by_row) {
  TensorMoments found = moments(x, by_row);
  const auto reducer = range_statistics();
  if (!reducer) {
    return found;
  }
  std::tie(found.min, found.max) = batch_extremes(found.min, found.max);
  const auto count = static_cast<double>(by_row ? x.numel() / x.size(0) : x.numel());
  const auto wide = [](const torch::Tensor& t) { return t.to(torch::kDouble); };
  const torch::Tensor mean = wide(found.mean);
  const torch::Tensor sums =
      torch::stack({torch::ones_like(mean), mean, wide(found.mean_abs), wide(found.rms).square(),
                    wide(found.deviation).square() + mean.square()}) *
      count;
  reducer->sum(sums);
  const auto average = [&](int64_t i) { return sums[i] / sums[0]; };
  const torch::Tensor variance = (average(4) - average(1).square()).clamp_min(0);
  found.mean = average(1).to(torch::kFloat);
  found.mean_abs = average(2).to(torch::kFloat);
  found.rms = average(3).sqrt().to(torch::kFloat);
  found.deviation = variance.sqrt().to(torch::kFloat);
  return found;
}

}  // namespace ssdq
