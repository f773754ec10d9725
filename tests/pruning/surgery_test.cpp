#include "ssdq/pruning/surgery.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/compensation.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

// A network with everything that channels pass through.
constexpr const char* kCfg =
    "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"  // 0
    "[convolutional]\nfilters=12\nsize=1\nbatch_normalize=1\nactivation=relu6\n"       // 1
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n"                // 2
    "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\n"                          // 3
    "[shortcut]\nfrom=-4\nactivation=relu\n"                                           // 4
    "[maxpool]\nsize=2\nstride=2\n"                                                    // 5
    "[convolutional]\nfilters=10\nsize=3\npad=1\nactivation=leaky\n"                   // 6, a bias
    "[se]\nsqueeze=4\n"                                                                // 7
    "[convolutional]\nfilters=6\nsize=1\nbatch_normalize=1\nactivation=h_swish\n"      // 8
    "[upsample]\nstride=2\n"                                                           // 9
    "[route]\nlayers=-1,4\nfeature=l2_norm\nfeature_idx=0\n"                           // 10
    "[avgpool]\nsize=3\nstride=2\npad=1\n"                                             // 11
    "[convolutional]\nfilters=8\nsize=3\nstride=2\nbatch_normalize=1\nactivation=relu\n"
    "feature=linear\nfeature_idx=1\n";

class Pruning : public ::testing::Test {
 protected:
  void SetUp() override { build(kCfg, "SSDLiteBoxPredictor"); }

  void build(const std::string& cfg, const std::string& predictor) {
    torch::manual_seed(3);
    graph = parse_cfg(cfg, "net.cfg", {16, 16});
    HeadSpec head{predictor, {2, 2}, 3};
    head.boxes_per_location.resize(graph.features.size());
    append_heads(builtin_heads(), graph, head);
    units = channel_units(graph);
    network = Detector(graph, 3, QuantizationMethods{}, QuantizationConfig{});
    network->eval();
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : state(*network)) {
      if (ends_with(name, "running_var")) {
        tensor.uniform_(0.5, 1.5);
      } else if (ends_with(name, "running_mean") || ends_with(name, "bias")) {
        tensor.normal_(0, 0.5);
      } else if (ends_with(name, "bn.weight")) {
        tensor.uniform_(0.5, 1.5);
      }
    }
    kept.assign(static_cast<size_t>(units.count), true);
  }

  // Removes some channels of every group in scope, never all.
  void remove(PruneScope scope, unsigned seed, double share = 0.5) {
    std::mt19937 random(seed);
    for (const auto& group : channel_groups(graph, units)) {
      if (!in_scope(group, scope)) continue;
      for (size_t i = 1; i < group.units.size(); ++i) {
        kept[group.units[i]] = std::uniform_real_distribution<>(0, 1)(random) >= share;
      }
    }
  }

  Detector loaded(const Graph& of, const State& values) const {
    Detector detector(of, 3, QuantizationMethods{}, QuantizationConfig{});
    load_state_strict(*detector, values, "the state");
    detector->eval();
    return detector;
  }

  Detector compact(const State& values) const {
    return loaded(prune_graph(graph, units, kept), prune_state(graph, units, kept, values));
  }

  // gamma of removed channels is 0, so that they carry act(beta); in convolutions without batch
  // norm the weights are.
  void silence() {
    State values = state(*network);
    const torch::NoGradGuard no_grad;
    for (const auto& [name, masked] : mask_state(graph, units, kept, values)) {
      if (ends_with(name, "weight") && name.find("head.") != 0) {
        for (auto& [own, tensor] : values) {
          if (own == name) tensor.copy_(masked);
        }
      }
    }
  }

  static double difference(Detector& a, Detector& b) {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(9);
    const auto images = torch::randn({2, 3, 16, 16});
    const auto x = a->forward(images), y = b->forward(images);
    return std::max((x.class_logits - y.class_logits).abs().max().item<double>(),
                    (x.box_regression - y.box_regression).abs().max().item<double>());
  }

  Graph graph;
  ChannelUnits units;
  Detector network{nullptr};
  KeptUnits kept;
};

TEST_F(Pruning, CompactEqualsMaskedForEveryScope) {
  for (const auto scope : {PruneScope::kNormal, PruneScope::kShortcut, PruneScope::kAll}) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      build(kCfg, seed % 2 == 0 ? "SSDLiteBoxPredictor" : "SSDBoxPredictor");
      remove(scope, seed, 0.2 + 0.15 * seed);
      auto masked = loaded(graph, mask_state(graph, units, kept, state(*network)));
      auto small = compact(state(*network));
      EXPECT_LT(difference(masked, small), 1e-5);
      EXPECT_GT(difference(network, small), 1e-2);  // something was removed
    }
  }
}

TEST_F(Pruning, KeepingEverythingChangesNothing) {
  auto same = compact(compensate(*network, units, kept).state);
  EXPECT_EQ(difference(network, same), 0);
  EXPECT_EQ(prune_graph(graph, units, kept), graph);
}

TEST_F(Pruning, AStateOfAnotherNetworkIsRefused) {
  State values = state(*network);
  values.emplace_back("neck.weight", torch::zeros({1}));
  EXPECT_THROW(prune_state(graph, units, kept, values), Error);
}

// Without padding, gates and norms on the way compensation is exact.
TEST_F(Pruning, CompensationGivesBackConstantsExactlyAwayFromPadding) {
  build(
      "[convolutional]\nfilters=8\nsize=3\nbatch_normalize=1\nactivation=relu\n"
      "[convolutional]\nfilters=12\nsize=1\nbatch_normalize=1\nactivation=relu6\n"
      "[depthwise]\nsize=3\nbatch_normalize=1\nactivation=relu6\n"
      "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\n"
      "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\nactivation=swish\n"
      "[shortcut]\nfrom=-2\nactivation=leaky\n"
      "[maxpool]\nsize=3\nstride=1\npad=1\n"
      "[convolutional]\nfilters=10\nsize=3\nactivation=leaky\n"
      "[route]\nlayers=-1\n"
      "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\nactivation=relu\nfeature=linear\n"
      "feature_idx=0\n"
      "[convolutional]\nfilters=6\nsize=8\nbatch_normalize=1\nactivation=relu\nfeature=linear\n"
      "feature_idx=1\n",
      "SSDLiteBoxPredictor");
  remove(PruneScope::kAll, 1);
  // What the heads read keeps all: their 3x3 kernels are padded.
  for (const NodeId feature : graph.features) {
    for (const int unit : units.of[feature]) kept[unit] = true;
  }
  silence();
  auto plain = compact(state(*network));
  EXPECT_GT(difference(network, plain), 1e-2);
  const auto compensated = compensate(*network, units, kept);
  auto small = compact(compensated.state);
  EXPECT_LT(difference(network, small), 1e-4);
  for (const auto& residual : compensated.residuals) {
    EXPECT_LT(residual.largest, 1e-5) << residual.node;
  }
}

// At the border of a padded map a constant misses taps: the compensated sum is right on average.
TEST_F(Pruning, CompensationIsTheMeanOverPaddedMaps) {
  build(
      "[convolutional]\nfilters=4\nsize=1\nbatch_normalize=1\nactivation=relu\n"
      "[convolutional]\nfilters=3\nsize=3\npad=1\nfeature=linear\nfeature_idx=0\n",
      "SSDBoxPredictor");
  kept[units.of[graph.find("backbone.0")][2]] = false;
  const torch::NoGradGuard no_grad;
  const auto& block = network->convolutions().front().second;
  block->bn->weight[2] = 0;
  block->bn->bias[2] = 1.25;
  const auto compensated = compensate(*network, units, kept);
  const auto weight = network->convolutions()[1].second->weight.select(1, 2);  // [3, 3, 3]
  std::vector<double> part(3), largest(3);
  for (int out = 0; out < 3; ++out) {
    std::vector<double> sums;
    for (int y = 0; y < 16; ++y) {
      for (int x = 0; x < 16; ++x) {
        double sum = 0;
        for (int i = -1; i <= 1; ++i) {
          for (int j = -1; j <= 1; ++j) {
            const bool inside = y + i >= 0 && y + i < 16 && x + j >= 0 && x + j < 16;
            sum += inside ? 1.25 * weight[out][i + 1][j + 1].item<double>() : 0;
          }
        }
        sums.push_back(sum);
        part[out] += sum / 256;
      }
    }
    for (const double sum : sums) {
      largest[out] = std::max(largest[out], std::abs(sum - part[out]));
    }
  }
  const auto& bias = network->convolutions()[1].second->bias;
  for (const auto& [name, tensor] : compensated.state) {
    if (name != "backbone.1.bias") continue;
    for (int out = 0; out < 3; ++out) {
      EXPECT_NEAR((tensor[out] - bias[out]).item<double>(), part[out], 1e-5);
    }
  }
  ASSERT_FALSE(compensated.residuals.empty());
  EXPECT_NEAR(compensated.residuals.front().largest,
              *std::max_element(largest.begin(), largest.end()), 1e-5);
}

}  // namespace
}  // namespace ssdq
