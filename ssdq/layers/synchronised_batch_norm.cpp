#include "ssdq/layers/synchronised_batch_norm.h"

#include <algorithm>
#include <utility>

#include <torch/torch.h>

#include "ssdq/layers/batch_norm_activation.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct SavedReducer : torch::CustomClassHolder {
  explicit SavedReducer(StatisticsReducerPtr of) : reducer(std::move(of)) {}
  StatisticsReducerPtr reducer;
};

torch::Tensor map_of(const torch::Tensor& by_channel) { return by_channel.view({1, -1, 1, 1}); }

torch::Tensor widened(const torch::Tensor& x) {
  return x.scalar_type() == torch::kDouble ? x : x.to(torch::kFloat);
}

// Of all ranks, in double, from one rank's [C] and count.
BatchStatistics gathered(const torch::Tensor& of_rank, const torch::Tensor& variance, double count,
                         StatisticsReducer& reducer) {
  const torch::Tensor mean = of_rank.to(torch::kDouble);
  const torch::Tensor squares = variance.to(torch::kDouble) + mean.square();
  const torch::Tensor sums = torch::stack({torch::ones_like(mean), mean, squares}) * count;
  reducer.sum(sums);
  const torch::Tensor of_all = sums[1] / sums[0];
  return {of_all, (sums[2] / sums[0] - of_all.square()).clamp_min(0), sums[0][0].clone()};
}

// In double.
BatchStatistics statistics_of(const torch::Tensor& wide, StatisticsReducer& reducer) {
  SSDQ_CHECK(wide.dim() == 4 && wide.numel() > 0,
             "synchronised batch norm got a tensor of {} dimensions and {} numbers; expected [N, "
             "C, H, W] with at least one image on each rank",
             wide.dim(), wide.numel());
  const auto [variance, mean] = torch::var_mean(wide, {0, 2, 3}, /*unbiased=*/false);
  const int64_t count = wide.numel() / wide.size(1);
  return gathered(mean, variance, static_cast<double>(count), reducer);
}

// Sums over ranks of two tensors [C].
std::pair<torch::Tensor, torch::Tensor> summed(const torch::Tensor& a, const torch::Tensor& b,
                                               StatisticsReducer& reducer) {
  const torch::Tensor both = torch::stack({a, b}).to(torch::kDouble);
  reducer.sum(both);
  return {both[0].to(a.scalar_type()), both[1].to(b.scalar_type())};
}

struct Statistics : Function<Statistics> {
  static variable_list forward(AutogradContext* context, const torch::Tensor& x,
                               const StatisticsReducerPtr& reducer) {
    const torch::Tensor wide = widened(x);
    const BatchStatistics found = statistics_of(wide, *reducer);
    const torch::Tensor mean = found.mean.to(wide.scalar_type());
    context->save_for_backward({x, mean, found.count});
    context->saved_data["reducer"] = saved_reducer(reducer);
    context->mark_non_differentiable({found.count});
    return {mean, found.variance.to(wide.scalar_type()), found.count};
  }

  // What all ranks' losses say about the common statistics goes to every pixel.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &mean = saved[1], &count = saved[2];
    const auto or_zero = [&](const torch::Tensor& g) {
      return g.defined() ? g : torch::zeros_like(mean);
    };
    const auto reducer = reducer_of(context->saved_data["reducer"]);
    const auto [to_mean, to_variance] =
        summed(or_zero(gradients[0]), or_zero(gradients[1]), *reducer);
    const torch::Tensor slope = 2 * to_variance / count;
    const torch::Tensor constant = to_mean / count - slope * mean;
    const torch::Tensor gx = (widened(x) * map_of(slope)).add_(map_of(constant));
    return {gx.to(x.scalar_type()), Variable()};
  }
};

// LibTorch's batch norm of evaluation with the statistics of all ranks: its gradient lacks what the
// statistics owe to x.
struct NormOfAllRanks : Function<NormOfAllRanks> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const BatchStatistics& statistics, double eps,
                               const StatisticsReducerPtr& reducer) {
    const torch::Tensor wide = widened(x);
    const auto type = wide.scalar_type();
    const torch::Tensor mean = statistics.mean.to(type), variance = statistics.variance.to(type);
    context->save_for_backward({x, weight, mean, variance, statistics.count});
    context->saved_data["eps"] = eps;
    context->saved_data["reducer"] = saved_reducer(reducer);
    return torch::batch_norm(wide, weight.to(type), bias.to(type), mean, variance,
                             /*training=*/false, 0, eps, /*cudnn_enabled=*/false)
        .to(x.scalar_type());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &mean = saved[2], &variance = saved[3], &count = saved[4];
    const torch::Tensor wide = widened(x);
    const auto type = wide.scalar_type();
    const double eps = context->saved_data["eps"].toDouble();
    const torch::Tensor weight = saved[1].to(type), inverse = (variance + eps).rsqrt();
    const torch::Tensor g = gradients[0].to(type).contiguous(wide.suggest_memory_format());
    auto [gx, to_weight, to_bias] =
        torch::native_batch_norm_backward(g, wide, weight, mean, variance, mean, inverse,
                                          /*train=*/false, eps, {true, true, true});
    const auto reducer = reducer_of(context->saved_data["reducer"]);
    const auto [total, along] = summed(to_bias, to_weight / inverse, *reducer);
    const torch::Tensor unit = weight * inverse / count;
    const torch::Tensor slope = unit * inverse.square() * along;
    gx.sub_(wide * map_of(slope)).add_(map_of(slope * mean - unit * total));
    const auto own = saved[1].scalar_type();
    return {gx.to(x.scalar_type()),
            to_weight.to(own),
            to_bias.to(own),
            Variable(),
            Variable(),
            Variable()};
  }
};

}  // namespace

c10::IValue saved_reducer(const StatisticsReducerPtr& reducer) {
  return c10::IValue::make_capsule(c10::make_intrusive<SavedReducer>(reducer));
}

StatisticsReducerPtr reducer_of(const c10::IValue& saved) {
  const auto holder = saved.toCapsule();
  return static_cast<const SavedReducer&>(*holder).reducer;
}

void gather_statistics(ChannelStatistics& statistics, const StatisticsReducerPtr& reducer) {
  if (!reducer) {
    return;
  }
  const auto tensor = [](const ChannelValues& values) {
    return torch::tensor(values, torch::dtype(torch::kDouble));
  };
  const BatchStatistics found =
      gathered(tensor(statistics.mean), tensor(statistics.variance), statistics.count, *reducer);
  const auto values = [](const torch::Tensor& t) {
    return ChannelValues(t.data_ptr<double>(), t.data_ptr<double>() + t.numel());
  };
  statistics.mean = values(found.mean);
  statistics.variance = values(found.variance);
  statistics.count = found.count.item<double>();
}

void gather_sums(std::array<ChannelValues, 2>& sums, const StatisticsReducerPtr& reducer) {
  if (!reducer) {
    return;
  }
  const auto channels = static_cast<int64_t>(sums[0].size());
  torch::Tensor both = torch::empty({2, channels}, torch::kDouble);
  auto* data = both.data_ptr<double>();
  std::copy(sums[1].begin(), sums[1].end(), std::copy(sums[0].begin(), sums[0].end(), data));
  reducer->sum(both);
  for (int64_t i = 0; i < 2; ++i) {
    sums[static_cast<size_t>(i)].assign(data + i * channels, data + (i + 1) * channels);
  }
}

BatchStatistics synchronised_statistics(const torch::Tensor& x,
                                        const StatisticsReducerPtr& reducer) {
  const variable_list found = Statistics::apply(x, reducer);
  return {found[0], found[1], found[2]};
}

torch::Tensor synchronised_batch_norm(const torch::Tensor& x, torch::nn::BatchNorm2dImpl& bn,
                                      const StatisticsReducerPtr& reducer) {
  const BatchStatistics found = [&] {
    const torch::NoGradGuard no_grad;
    return statistics_of(widened(x.detach()), *reducer);
  }();
  update_running_statistics(bn, found.mean, found.variance, found.count);
  return NormOfAllRanks::apply(x, bn.weight, bn.bias, found, bn.options.eps(), reducer);
}

}  // namespace ssdq
