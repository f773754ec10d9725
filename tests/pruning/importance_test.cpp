#include "ssdq/pruning/importance.h"

#include <string>
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
    graph = parse_cfg(kCfg, "net.cfg", {8, 8});
    append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {2}, 3});
    units = channel_units(graph);
    torch::manual_seed(1);
    network = Detector(graph, 3, QuantizationMethods{}, QuantizationConfig{});
    const torch::NoGradGuard no_grad;
    block(0)->bn->weight.copy_(torch::tensor({0.5F, -1.0F, 0.0F}));
    block(1)->bn->weight.copy_(torch::tensor({1.5F, 0.0F, -0.5F}));
    block(2)->weight.copy_(
        torch::tensor({{3.0F, 0.0F, -4.0F}, {0.0F, 0.0F, 15.0F}}).view({2, 3, 1, 1}));
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

TEST_F(UnitScores, OfTheRandomBaselineFollowTheSeed) {
  EXPECT_EQ(scores(Importance::kRandom, "backbone.3", 1),
            scores(Importance::kRandom, "backbone.3", 1));
  EXPECT_NE(scores(Importance::kRandom, "backbone.3", 1),
            scores(Importance::kRandom, "backbone.3", 2));
}

TEST_F(UnitScores, WithoutAnyBatchNormAreRefused) {
  const auto groups = groups_in_scope(graph, units, PruneScope::kNormal);
  EXPECT_THROW(unit_scores(*network, units, groups, Importance::kBatchNorm, 0), ConfigError);
  EXPECT_THROW(parse_importance("gamma"), ConfigError);
}

}  // namespace
}  // namespace ssdq
