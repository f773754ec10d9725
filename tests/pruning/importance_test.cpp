#include "ssdq/pruning/importance.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// An expansion that a depthwise convolution carries on, and a convolution without batch norm.
constexpr const char* kCfg =
    "[convolutional]\nfilters=3\nsize=1\nbatch_normalize=1\nactivation=relu6\n"
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n"
    "[convolutional]\nfilters=2\nsize=1\nactivation=relu\n"
    "[convolutional]\nfilters=4\nsize=1\nactivation=relu\nfeature=linear\nfeature_idx=0\n";

class UnitScores : public ::testing::Test {
 protected:
  void SetUp() override {
    build(kCfg);
    const torch::NoGradGuard no_grad;
    block(0)->bn->weight.copy_(torch::tensor({0.5F, -1.0F, 0.0F}));
    block(1)->bn->weight.copy_(torch::tensor({1.5F, 0.0F, -0.5F}));
    block(2)->weight.copy_(
        torch::tensor({{3.0F, 0.0F, -4.0F}, {0.0F, 0.0F, 15.0F}}).view({2, 3, 1, 1}));
  }

  void build(const char* cfg) {
    graph = parse_cfg(cfg, "net.cfg", {8, 8});
    append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {2}, 3});
    units = channel_units(graph);
    torch::manual_seed(1);
    network = Detector(graph, 3, QuantizationMethods{}, QuantizationConfig{});
  }

  const ConvBlock& block(size_t i) const { return network->convolutions()[i].second; }

  // Of the channels of a node.
  std::vector<double> scores(Importance importance, const char* node, uint64_t seed = 0) const {
    const auto groups = groups_in_scope(graph, units, PruneScope::kAll);
    const auto all = unit_scores(*network, units, groups, importance, seed);
    std::vector<double> result;
    for (const int unit : units.of[graph.find(node)]) result.push_back(all[unit]);
    return result;
  }

  Graph graph;
  ChannelUnits units;
  Detector network{nullptr};
};

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST_F(UnitScores, OfBatchNormsAreMeansOverTheMembersAndElseFilterNorms) {
  expect_near(scores(Importance::kBatchNorm, "backbone.1"), {1.0, 0.5, 0.25});
  expect_near(scores(Importance::kBatchNorm, "backbone.2"), {0.5, 1.5});  // 5 and 15 over 10
}

TEST_F(UnitScores, OfFiltersAreOverTheMeanOfTheirGroup) {
  expect_near(scores(Importance::kL2, "backbone.2"), {0.5, 1.5});
  expect_near(scores(Importance::kL1, "backbone.2"), {7.0 / 11, 15.0 / 11});
  const auto dense = block(0)->weight.detach().flatten(1).abs().sum(1);
  const auto depthwise = block(1)->weight.detach().flatten(1).abs().sum(1);
  const auto expected = (dense / dense.mean() + depthwise / depthwise.mean()) / 2;
  const auto found = scores(Importance::kL1, "backbone.0");
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(found[i], expected[i].item<double>(), 1e-5);
}

// Of rows [n, k]: each one's distances to the others, in all, over their mean.
std::vector<double> naive_distances(const torch::Tensor& rows) {
  std::vector<double> sums(static_cast<size_t>(rows.size(0)));
  double mean = 0;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    for (int64_t j = 0; j < rows.size(0); ++j) {
      double square = 0;
      for (int64_t k = 0; k < rows.size(1); ++k) {
        const double off = rows[i][k].item<double>() - rows[j][k].item<double>();
        square += off * off;
      }
      sums[i] += std::sqrt(square);
    }
    mean += sums[i] / static_cast<double>(sums.size());
  }
  for (double& sum : sums) sum /= mean;
  return sums;
}

TEST_F(UnitScores, OfFpgmAreDistancesToTheOtherFilters) {
  const auto dense = naive_distances(block(0)->weight.detach().flatten(1));
  const auto depthwise = naive_distances(block(1)->weight.detach().flatten(1));
  std::vector<double> expected;
  for (int i = 0; i < 3; ++i) expected.push_back((dense[i] + depthwise[i]) / 2);
  expect_near(scores(Importance::kFpgm, "backbone.1"), expected);
}

TEST_F(UnitScores, OfFpgmDoNotDependOnWhatAllFiltersShare) {
  const auto before = scores(Importance::kFpgm, "backbone.3");
  const torch::NoGradGuard no_grad;
  block(3)->weight.mul_(-3).add_(torch::randn({1, 2, 1, 1}));
  expect_near(scores(Importance::kFpgm, "backbone.3"), before);
}

TEST_F(UnitScores, OfFpgmLookAtFiltersOfTheGroupAlone) {
  // The last convolution's channels are added to those of two others.
  build(
      "[convolutional]\nfilters=2\nsize=1\nactivation=relu\n"
      "[convolutional]\nfilters=3\nsize=1\n[route]\nlayers=0\n"
      "[convolutional]\nfilters=2\nsize=1\n[route]\nlayers=-1,1\n[route]\nlayers=0\n"
      "[convolutional]\nfilters=5\nsize=1\n[shortcut]\nfrom=4\nfeature=linear\nfeature_idx=0\n");
  const auto last = block(3)->weight.detach().flatten(1);
  for (const auto& [node, begin, count, own] :
       {std::tuple{"backbone.1", 2, 3, size_t{1}}, std::tuple{"backbone.3", 0, 2, size_t{2}}}) {
    const auto shared = naive_distances(last.narrow(0, begin, count));
    const auto alone = naive_distances(block(own)->weight.detach().flatten(1));
    std::vector<double> expected;
    for (int i = 0; i < count; ++i) expected.push_back((alone[i] + shared[i]) / 2);
    expect_near(scores(Importance::kFpgm, node), expected);
  }
}

TEST_F(UnitScores, OfLampAreSharesOfTheSquaresNotSmaller) {
  expect_near(scores(Importance::kLamp, "backbone.2"), {25.0 / 250, 1});
  for (const char* node : {"backbone.0", "backbone.3"}) {
    const auto norms = scores(Importance::kL2, node);
    std::vector<double> expected;
    for (const double norm : norms) {
      double sum = 0;
      for (const double other : norms) sum += other >= norm ? other * other : 0;
      expected.push_back(norm * norm / sum);
    }
    const auto found = scores(Importance::kLamp, node);
    expect_near(found, expected);
    EXPECT_EQ(*std::max_element(found.begin(), found.end()), 1);
  }
}

TEST_F(UnitScores, OfLampAreTheSameForEquals) {
  const torch::NoGradGuard no_grad;
  block(3)->weight.copy_(
      torch::tensor({{1.0F, 0.0F}, {0.0F, 2.0F}, {-1.0F, 0.0F}, {2.0F, 0.0F}}).view({4, 2, 1, 1}));
  expect_near(scores(Importance::kLamp, "backbone.3"), {0.1, 0.5, 0.1, 0.5});
  block(3)->weight.zero_();
  expect_near(scores(Importance::kLamp, "backbone.3"), {0.25, 0.25, 0.25, 0.25});
  block(3)->weight[2].fill_(1);
  expect_near(scores(Importance::kLamp, "backbone.3"), {0, 0, 1, 0});
}

TEST_F(UnitScores, OfFiltersFollowTheirOrderAndNotTheirScale) {
  const std::vector<int64_t> order = {2, 0, 3, 1};
  for (const auto importance :
       {Importance::kL1, Importance::kL2, Importance::kFpgm, Importance::kLamp}) {
    const auto before = scores(importance, "backbone.3");
    {
      const torch::NoGradGuard no_grad;
      block(3)->weight.copy_(block(3)->weight.index_select(0, torch::tensor(order)) * 7);
    }
    const auto after = scores(importance, "backbone.3");
    for (size_t i = 0; i < order.size(); ++i) {
      EXPECT_NEAR(after[i], before[order[i]], 1e-6) << to_string(importance);
    }
  }
}

TEST_F(UnitScores, OfTheRandomBaselineFollowTheSeed) {
  EXPECT_EQ(scores(Importance::kRandom, "backbone.3", 1),
            scores(Importance::kRandom, "backbone.3", 1));
  EXPECT_NE(scores(Importance::kRandom, "backbone.3", 1),
            scores(Importance::kRandom, "backbone.3", 2));
}

TEST_F(UnitScores, WithoutAnyBatchNormAreRefused) {
  const auto groups = groups_in_scope(graph, units, PruneScope::kNormal);
  EXPECT_THROW(unit_scores(*network, units, groups, Importance::kBatchNorm, 0), ConfigError);
}

}  // namespace
}  // namespace ssdq
