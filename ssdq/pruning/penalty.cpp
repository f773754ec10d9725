#include "ssdq/pruning/penalty.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace ssdq {

SparsityRate::Schedule parse_sparsity_schedule(const std::string& name) {
  using Schedule = SparsityRate::Schedule;
  if (name == "constant") return Schedule::kConstant;
  if (name == "linear") return Schedule::kLinear;
  if (name == "cosine") return Schedule::kCosine;
  fail_config("unknown schedule of SR '{}' (known: constant, linear, cosine)", name);
}

double sparsity_rate(int64_t iteration, const SparsityRate& rate) {
  constexpr double kPi = 3.14159265358979323846;
  if (iteration < rate.warmup_iters) {
    return rate.rate * static_cast<double>(iteration) / static_cast<double>(rate.warmup_iters);
  }
  const auto done = static_cast<double>(iteration - rate.warmup_iters);
  const auto span = static_cast<double>(rate.max_iter - rate.warmup_iters);
  const double progress = span > 0 ? std::min(1.0, done / span) : 0.0;
  switch (rate.schedule) {
    case SparsityRate::Schedule::kConstant:
      return rate.rate;
    case SparsityRate::Schedule::kLinear:
      return rate.rate * (1 - progress * (1 - rate.final_share));
    case SparsityRate::Schedule::kCosine:
      return rate.rate *
             (rate.final_share + (1 - rate.final_share) * (1 + std::cos(kPi * progress)) / 2);
  }
  return rate.rate;
}

PenaltyGradient l1_penalty() {
  return [](const torch::Tensor& gamma) { return gamma.sign(); };
}

PenaltyGradient polarized_penalty(double polarization) {
  return [polarization](const torch::Tensor& gamma) {
    const auto magnitudes = gamma.abs();
    const auto sides = (magnitudes - magnitudes.mean()).sign();
    return gamma.sign() * (polarization - sides + sides.mean());
  };
}

PenaltyGradient group_penalty(const ScaleLayout& layout, torch::Device device) {
  size_t most = 1;
  for (const auto& unit : layout.units) most = std::max(most, unit.size());
  // A table of places to gather from: unlike scattered sums, it gives the same bits in every run on
  // a GPU too. Free cells point to a 0 behind the scales.
  const auto num_units = static_cast<int64_t>(layout.units.size());
  auto table = torch::full({num_units, static_cast<int64_t>(most)}, layout.count, torch::kInt64);
  auto unit_of = torch::zeros({layout.count}, torch::kInt64);
  auto weights = torch::zeros({num_units}, torch::kFloat64);
  for (int64_t unit = 0; unit < num_units; ++unit) {
    const auto& places = layout.units[unit];
    for (size_t i = 0; i < places.size(); ++i) {
      table.data_ptr<int64_t>()[unit * static_cast<int64_t>(most) + static_cast<int64_t>(i)] =
          places[i];
      unit_of.data_ptr<int64_t>()[places[i]] = unit;
    }
    weights.data_ptr<double>()[unit] = std::sqrt(static_cast<double>(places.size()));
  }
  table = table.to(device);
  unit_of = unit_of.to(device);
  weights = weights.to(device);
  return [table, unit_of, weights](const torch::Tensor& gamma) {
    const auto exact = gamma.to(torch::kFloat64);  // squares of small floats would be 0
    const auto padded = torch::cat({exact, torch::zeros({1}, exact.options())});
    const auto members = padded.index_select(0, table.flatten()).view_as(table);
    const auto norms = members.square().sum(1).sqrt();
    const auto factors = torch::where(norms > 0, weights / norms, torch::zeros_like(norms));
    return (exact * factors.index_select(0, unit_of)).to(gamma.scalar_type());
  };
}

void add_penalty(const PenalisedScales& scales, const PenaltyGradient& gradient, double rate) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor all = gradient(concatenated(scales));
  int64_t start = 0;
  for (const auto& scale : scales) {
    const torch::Tensor& gamma = scale.second;
    if (gamma.grad().defined()) {
      gamma.grad().add_(all.narrow(0, start, gamma.numel()), rate);
    }
    start += gamma.numel();
  }
}

}  // namespace ssdq
