#include "ssdq/pruning/magnitude.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
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

// Dense, depthwise and grouped convolutions, and weights that are of no convolution.
constexpr const char* kCfg =
    "[convolutional]\nfilters=6\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
    "[convolutional]\nfilters=4\nsize=3\npad=1\ngroups=2\n"
    "[se]\nsqueeze=2\nfeature=l2_norm\nfeature_idx=0\n";

class Magnitude : public ::testing::Test {
 protected:
  void SetUp() override {
    graph = parse_cfg(kCfg, "net.cfg", {8, 8});
    append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {2}, 3});
    torch::manual_seed(2);
    network = Detector(graph, 3, QuantizationMethods{}, QuantizationConfig{});
    testing::randomize(*network);
    to_channels_last(*network);
    values = state(*network);
    for (const auto& [name, block] : network->convolutions()) {
      weights[name + ".weight"] = block->weight;
    }
  }

  // By sorting (|w|, place) of all weights.
  std::map<std::string, std::vector<float>> naive(double amount) const {
    std::vector<std::pair<float, size_t>> all;
    std::vector<float> flat;
    for (const auto& [name, tensor] : values) {
      if (weights.count(name) == 0) continue;
      const auto plain = tensor.detach().contiguous();
      for (int64_t i = 0; i < plain.numel(); ++i) {
        flat.push_back(plain.data_ptr<float>()[i]);
        all.emplace_back(std::abs(flat.back()), all.size());
      }
    }
    std::sort(all.begin(), all.end());
    const auto count = static_cast<size_t>(std::floor(amount * static_cast<double>(all.size())));
    for (size_t i = 0; i < count; ++i) flat[all[i].second] = 0;
    std::map<std::string, std::vector<float>> expected;
    auto next = flat.begin();
    for (const auto& [name, tensor] : values) {
      if (weights.count(name) == 0) continue;
      expected[name] = {next, next + tensor.numel()};
      next += tensor.numel();
    }
    return expected;
  }

  void expect_naive(double amount) const {
    const SparseState sparse = prune_smallest_weights(graph, values, amount);
    const auto expected = naive(amount);
    ASSERT_EQ(sparse.state.size(), values.size());
    ASSERT_EQ(sparse.weights.size(), weights.size());
    std::map<std::string, WeightSparsity> counts;
    for (const auto& one : sparse.weights) counts[one.weight] = one;
    int64_t zeros = 0, total = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const auto& [name, tensor] = sparse.state[i];
      EXPECT_EQ(name, values[i].first);
      if (weights.count(name) == 0) {
        EXPECT_TRUE(tensor.is_same(values[i].second) || torch::equal(tensor, values[i].second));
        continue;
      }
      const auto plain = tensor.contiguous();
      const std::vector<float> found(plain.data_ptr<float>(),
                                     plain.data_ptr<float>() + plain.numel());
      EXPECT_EQ(found, expected.at(name)) << name << " at " << amount;
      const auto of_zero = std::count(found.begin(), found.end(), 0.0F);
      EXPECT_EQ(counts[name].zeros, of_zero);
      EXPECT_EQ(counts[name].total, tensor.numel());
      zeros += of_zero;
      total += tensor.numel();
    }
    EXPECT_EQ(sparse.zeros, zeros);
    EXPECT_EQ(sparse.total, total);
  }

  int64_t zeros(double amount) const { return prune_smallest_weights(graph, values, amount).zeros; }

  Graph graph;
  Detector network{nullptr};
  State values;
  std::map<std::string, torch::Tensor> weights;
};

TEST_F(Magnitude, OfTheSmallestWeightsOfTheWholeNetworkBecomesZero) {
  ASSERT_EQ(weights.size(), 5U);
  for (const double amount : {0.0, 0.001, 0.3, 0.5, 0.999}) expect_naive(amount);
  EXPECT_EQ(zeros(0), 0);
}

TEST_F(Magnitude, CountsAreExactWhateverIsEqual) {
  {
    const torch::NoGradGuard no_grad;
    for (auto& [name, weight] : weights) {
      weight.copy_(torch::where(weight > 0, torch::ones_like(weight), -torch::ones_like(weight)));
    }
  }
  const int64_t total = prune_smallest_weights(graph, values, 0).total;
  for (const double amount : {0.0, 0.1, 0.5, 0.77}) {
    expect_naive(amount);
    EXPECT_EQ(zeros(amount), static_cast<int64_t>(amount * static_cast<double>(total)));
  }
}

TEST_F(Magnitude, WeightsThatAreZeroCountAmongTheSmallest) {
  values = prune_smallest_weights(graph, values, 0.5).state;
  const int64_t half = zeros(0);
  EXPECT_EQ(zeros(0.3), half);
  EXPECT_GT(zeros(0.6), half);
  expect_naive(0.3);
  expect_naive(0.6);
}

TEST_F(Magnitude, LeavesTheStateThatItIsGivenAsItWas) {
  std::vector<torch::Tensor> before;
  for (const auto& one : values) before.push_back(one.second.detach().clone());
  prune_smallest_weights(graph, values, 0.9);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(torch::equal(before[i], values[i].second));
}

TEST_F(Magnitude, RefusesWhatMakesNoSense) {
  EXPECT_THROW(zeros(1), ConfigError);
  EXPECT_THROW(zeros(-0.1), ConfigError);
  EXPECT_THROW(zeros(std::numeric_limits<double>::quiet_NaN()), ConfigError);
  State broken = values;
  for (auto& [name, tensor] : broken) {
    if (weights.count(name) > 0) {
      tensor = torch::full_like(tensor, std::numeric_limits<float>::quiet_NaN());
      break;
    }
  }
  EXPECT_THROW(prune_smallest_weights(graph, broken, 0.5), Error);
  EXPECT_THROW(prune_smallest_weights(graph, {}, 0.5), Error);
}

}  // namespace
}  // namespace ssdq
