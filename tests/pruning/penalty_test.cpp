#include "ssdq/pruning/penalty.h"

#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "sparse_network.h"
#include "ssdq/utils/error.h"

namespace ssdq::testing {
namespace {

constexpr PruneScope kScopes[] = {PruneScope::kNormal, PruneScope::kShortcut, PruneScope::kAll};

SparsityRate falling(const char* schedule) {
  return {2.0, parse_sparsity_schedule(schedule), 0.1, 10, 110};
}

TEST(SparsityRate, RisesFromZeroAndFallsToItsShareAtTheEnd) {
  for (const char* schedule : {"constant", "linear", "cosine"}) {
    const auto rate = falling(schedule);
    EXPECT_EQ(sparsity_rate(0, rate), 0);
    EXPECT_DOUBLE_EQ(sparsity_rate(5, rate), 1);
    EXPECT_DOUBLE_EQ(sparsity_rate(9, rate), 1.8);
    EXPECT_EQ(sparsity_rate(10, rate), 2);
  }
  EXPECT_EQ(sparsity_rate(110, falling("constant")), 2);
  EXPECT_DOUBLE_EQ(sparsity_rate(35, falling("linear")), 1.55);
  EXPECT_DOUBLE_EQ(sparsity_rate(60, falling("linear")), 1.1);
  EXPECT_DOUBLE_EQ(sparsity_rate(35, falling("cosine")), 0.2 + 0.9 * (1 + std::sqrt(0.5)));
  EXPECT_DOUBLE_EQ(sparsity_rate(60, falling("cosine")), 1.1);
  for (const char* schedule : {"linear", "cosine"}) {
    EXPECT_NEAR(sparsity_rate(110, falling(schedule)), 0.2, 1e-15);
    EXPECT_NEAR(sparsity_rate(1000, falling(schedule)), 0.2, 1e-15);
  }
}

TEST(SparsityRate, WithoutAWarmUpOrNothingAfterItIsFinite) {
  auto rate = falling("cosine");
  rate.warmup_iters = 0;
  EXPECT_EQ(sparsity_rate(0, rate), 2);
  rate.warmup_iters = 110;
  EXPECT_DOUBLE_EQ(sparsity_rate(55, rate), 1);
  EXPECT_EQ(sparsity_rate(110, rate), 2);
  rate.warmup_iters = 200;
  EXPECT_DOUBLE_EQ(sparsity_rate(109, rate), 1.09);
  EXPECT_THROW(parse_sparsity_schedule("step"), ConfigError);
}

// The formula as it stands in papers, on a tensor that autograd follows.
using Formula = std::function<torch::Tensor(const torch::Tensor&)>;

torch::Tensor autograd(const Formula& formula, const torch::Tensor& gamma) {
  auto leaf = gamma.clone().requires_grad_(true);
  formula(leaf).backward();
  return leaf.grad();
}

torch::Tensor random_scales(int64_t count) {
  torch::manual_seed(3);
  auto gamma = torch::randn({count}, torch::kFloat64);
  gamma[1] = 0;
  gamma[4] = 1e-30;
  return gamma;
}

TEST(Penalty, PolarizedHasTheGradientThatAutogradFinds) {
  for (const double t : {0.0, 0.7, 1.2, 2.0}) {
    const Formula formula = [t](const torch::Tensor& gamma) {
      const auto magnitudes = gamma.abs();
      return (t * magnitudes - (magnitudes - magnitudes.mean()).abs()).sum();
    };
    for (const auto& gamma : {random_scales(31), random_scales(30).abs()}) {
      EXPECT_TRUE(torch::allclose(polarized_penalty(t)(gamma), autograd(formula, gamma), 0, 1e-14));
    }
  }
}

// Units written out by hand: the stem and the end of the residual, the expansion and its depthwise
// convolution, the last convolution.
TEST(Penalty, GroupHasTheGradientThatAutogradFinds) {
  const auto network = sparse_network();
  const auto layout =
      scale_layout(*network, PruneScope::kAll, penalised_scales(*network, PruneScope::kAll));
  const Formula formula = [](const torch::Tensor& gamma) {
    const auto tied = [&](int64_t a, int64_t b, int64_t count) {
      return (gamma.narrow(0, a, count).square() + gamma.narrow(0, b, count).square()).sqrt().sum();
    };
    return std::sqrt(2.0) * (tied(0, 20, 4) + tied(4, 12, 8)) + gamma.narrow(0, 24, 6).abs().sum();
  };
  const auto gamma = random_scales(30);
  EXPECT_TRUE(torch::allclose(group_penalty(layout, torch::kCPU)(gamma), autograd(formula, gamma),
                              1e-13, 0));
}

TEST(Penalty, GroupIsZeroWhereAUnitIsAndFiniteWhereItIsTiny) {
  const ScaleLayout layout{{{0, 2}, {1, 3}}, {}, 4};
  const auto gamma = torch::tensor({0.0F, 3e-30F, 0.0F, 4e-30F});
  const auto found = group_penalty(layout, torch::kCPU)(gamma);
  const auto root = std::sqrt(2.0F);
  EXPECT_TRUE(torch::allclose(found, torch::tensor({0.0F, 0.6F * root, 0.0F, 0.8F * root})));
}

TEST(Penalty, GroupOfSingleScalesIsL1) {
  const ScaleLayout layout{{{0}, {1}, {2}, {3}}, {}, 4};
  const auto gamma = torch::tensor({0.7F, -1e-38F, 0.0F, -3e7F});
  EXPECT_TRUE(torch::equal(group_penalty(layout, torch::kCPU)(gamma), l1_penalty()(gamma)));
}

std::vector<torch::Tensor> gradients(Detector& network) {
  std::vector<torch::Tensor> result;
  for (const auto& parameter : network->parameters()) {
    result.push_back(parameter.grad().clone());
  }
  return result;
}

void backward(Detector& network, const PenalisedScales& penalised, double rate) {
  network->zero_grad();
  torch::manual_seed(8);
  const auto output = network->forward(torch::randn({2, 3, 8, 8}));
  auto loss = output.class_logits.square().mean() + output.box_regression.square().mean();
  for (const auto& scale : penalised) {
    loss = loss + rate * scale.second.abs().sum();
  }
  loss.backward();
}

// The same gradient as autograd's of the loss with the penalty in it, for every parameter.
TEST(AddPenalty, OfL1IsTheGradientOfTheLossWithItAndTouchesNothingElse) {
  for (const auto scope : kScopes) {
    auto network = sparse_network();
    const auto scales = penalised_scales(*network, scope);
    {
      const torch::NoGradGuard no_grad;
      scales.front().second[1] = -0.75;
    }
    network->eval();
    backward(network, scales, 0.3);
    const auto expected = gradients(network);
    backward(network, {}, 0);
    add_penalty(scales, l1_penalty(), 0.3);
    const auto found = gradients(network);
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_TRUE(torch::allclose(found[i], expected[i], 1e-5, 1e-7)) << i;
    }
  }
}

TEST(AddPenalty, LeavesFrozenScalesAloneAndCountsThem) {
  auto frozen = torch::tensor({1.0F, 9.0F});
  auto trained = torch::tensor({2.0F, -1.0F, 8.0F});
  trained.mutable_grad() = torch::ones_like(trained);
  add_penalty({{"f", frozen}, {"t", trained}}, polarized_penalty(1), 0.5);
  EXPECT_FALSE(frozen.grad().defined());
  // The mean is 4.2, that of the sides -0.2.
  EXPECT_TRUE(torch::allclose(trained.grad(), torch::tensor({1.9F, 0.1F, 0.9F})));
}

}  // namespace
}  // namespace ssdq::testing
