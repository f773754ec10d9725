#include "ssdq/pruning/taylor.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "random_network.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// An add, an expansion that a depthwise convolution carries on, and a convolution with a bias.
constexpr const char* kCfg =
    "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
    "[convolutional]\nfilters=6\nsize=1\nbatch_normalize=1\nactivation=relu6\n"
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n"
    "[convolutional]\nfilters=4\nsize=1\nbatch_normalize=1\n"
    "[shortcut]\nfrom=-4\nactivation=relu\n"
    "[convolutional]\nfilters=3\nsize=1\nactivation=leaky\nfeature=linear\nfeature_idx=0\n";

// In double precision and evaluation mode.
class Taylor : public ::testing::Test {
 protected:
  void SetUp() override {
    graph = parse_cfg(kCfg, "net.cfg", {6, 6});
    append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {2}, 3});
    units = channel_units(graph);
    torch::manual_seed(5);
    network = Detector(graph, 3, QuantizationMethods{}, QuantizationConfig{});
    testing::randomize(*network);
    network->to(torch::kFloat64);
    network->eval();
    images = torch::randn({2, 3, 6, 6}, torch::kFloat64);
  }

  torch::Tensor loss(const torch::Tensor& batch) {
    torch::Tensor sum = torch::zeros({}, torch::kFloat64);
    for (const auto& map : network->run(batch)) sum = sum + (map - 0.5).square().mean();
    return sum;
  }

  std::vector<double> scores(const std::vector<torch::Tensor>& batches, PruneScope scope) {
    TaylorImportance importance(*network, units, groups_in_scope(graph, units, scope));
    for (const auto& batch : batches) {
      network->zero_grad();
      loss(batch).backward();
      importance.add();
    }
    return importance.scores();
  }

  // The loss with all that mask_state() makes 0 for a unit multiplied by `factor`.
  double loss_with(int unit, double factor) {
    const torch::NoGradGuard no_grad;
    const auto scale = [&](double by) {
      for (const auto& [name, block] : network->convolutions()) {
        const auto& of = units.of[graph.find(name)];
        for (size_t c = 0; c < of.size(); ++c) {
          if (of[c] != unit) continue;
          const auto channel = static_cast<int64_t>(c);
          if (block->bn) {
            block->bn->weight[channel].mul_(by);
            block->bn->bias[channel].mul_(by);
          } else {
            block->weight[channel].mul_(by);
            if (block->bias.defined()) block->bias[channel].mul_(by);
          }
        }
      }
    };
    scale(factor);
    const double value = loss(images).item<double>();
    scale(1 / factor);
    return value;
  }

  Graph graph;
  ChannelUnits units;
  Detector network{nullptr};
  torch::Tensor images;
};

TEST_F(Taylor, IsTheSquaredChangeOfTheLossToFirstOrder) {
  const auto found = scores({images}, PruneScope::kAll);
  constexpr double kStep = 1e-5;
  int scored = 0;
  for (const auto& group : groups_in_scope(graph, units, PruneScope::kAll)) {
    for (const int unit : group.units) {
      const double slope = (loss_with(unit, 1 + kStep) - loss_with(unit, 1 - kStep)) / (2 * kStep);
      EXPECT_NEAR(found[unit], slope * slope, 1e-6 * slope * slope + 1e-12) << unit;
      scored += found[unit] > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(scored, 10);
}

TEST_F(Taylor, IsAveragedOverBatches) {
  const auto other = torch::randn({3, 3, 6, 6}, torch::kFloat64);
  const auto first = scores({images}, PruneScope::kAll), second = scores({other}, PruneScope::kAll);
  const auto both = scores({images, other}, PruneScope::kAll);
  for (size_t i = 0; i < both.size(); ++i) {
    EXPECT_NEAR(both[i], (first[i] + second[i]) / 2, 1e-12 + 1e-9 * both[i]);
  }
}

TEST_F(Taylor, ScoresTheGroupsAskedForAlone) {
  const auto all = scores({images}, PruneScope::kAll), some = scores({images}, PruneScope::kNormal);
  std::vector<bool> asked(all.size());
  for (const auto& group : groups_in_scope(graph, units, PruneScope::kNormal)) {
    for (const int unit : group.units) asked[unit] = true;
  }
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(some[i], asked[i] ? all[i] : 0) << i;
}

TEST_F(Taylor, NeedsGradients) {
  TaylorImportance importance(*network, units, groups_in_scope(graph, units, PruneScope::kAll));
  EXPECT_THROW(importance.scores(), Error);
  EXPECT_THROW(importance.add(), Error);
}

}  // namespace
}  // namespace ssdq
