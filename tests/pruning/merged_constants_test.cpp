#include "ssdq/pruning/merged_constants.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "random_network.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/pruning/compensation.h"
#include "ssdq/pruning/surgery.h"
#include "ssdq/quantization/build.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string conv(int filters, const std::string& keys) {
  return "[convolutional]\nfilters=" + std::to_string(filters) + "\n" + keys;
}

const std::string kPadded = "size=3\npad=1\nbatch_normalize=1\n";
const std::string kPoint = "size=1\nbatch_normalize=1\n";
const std::string kFeature = "feature=linear\nfeature_idx=0\n";

class MergedConstantsTest : public ::testing::Test {
 protected:
  void build(const std::string& cfg, const std::string& predictor = "SSDBoxPredictor") {
    torch::manual_seed(3);
    graph = parse_cfg(cfg, "net.cfg", {16, 16});
    HeadSpec head{predictor, {}, 3};
    head.boxes_per_location.assign(graph.features.size(), 2);
    append_heads(builtin_heads(), graph, head);
    units = channel_units(graph);
    network = loaded(graph, {});
    observe();
    testing::randomize(*network);
    const torch::NoGradGuard no_grad;
    for (const auto& entry : network->convolutions()) {
      // The channel that remove_half() always takes has a constant that no ReLU swallows.
      const ConvBlock& one = entry.second;
      const torch::Tensor shift = one->conv().batch_norm ? one->bn->bias : one->bias;
      if (shift.defined()) shift[-1] = 0.3;
    }
    kept.assign(static_cast<size_t>(units.count), true);
  }

  // Quantizers need to have seen data.
  void observe() {
    if (quantization.type == "none") return;
    const torch::NoGradGuard no_grad;
    network->train();
    network->forward(torch::randn({2, 3, 16, 16}));
    network->eval();
  }

  // Removes about half of the channels of every group, at least one and never all.
  void remove_half(unsigned seed = 1) {
    std::mt19937 random(seed);
    for (const auto& group : groups_in_scope(graph, units, PruneScope::kAll)) {
      kept[group.units.back()] = false;
      for (size_t i = 1; i < group.units.size(); ++i) {
        if (random() % 2 == 0) kept[group.units[i]] = false;
      }
    }
  }

  void remove(const std::string& node, const std::vector<int>& channels) {
    for (const int channel : channels) {
      kept[units.of[graph.find(node)][channel]] = false;
    }
  }

  ConvBlock block(const std::string& name) const {
    for (const auto& [node, found] : network->convolutions()) {
      if (node == name) return found;
    }
    fail("{}: no such convolution", name);
  }

  Detector loaded(const Graph& of, const State& values) const {
    QuantizerRegistry registry;
    register_quantizers(registry);
    Detector detector(of, 3, quantization_methods(registry, quantization), quantization);
    if (!values.empty()) load_state_strict(*detector, values, "the state");
    detector->eval();
    return detector;
  }

  Detector compact(const KeptUnits& of, const State& values) const {
    return loaded(prune_graph(graph, units, of), prune_state(graph, units, of, values));
  }

  // The largest difference over the largest value.
  static double difference(Detector a, Detector b) {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(9);
    const auto images = torch::randn({2, 3, 16, 16});
    const auto x = a->forward(images), y = b->forward(images);
    const auto of = [](const torch::Tensor& p, const torch::Tensor& q) {
      return (p - q).abs().max().item<double>() / p.abs().max().item<double>();
    };
    return std::max(of(x.class_logits, y.class_logits), of(x.box_regression, y.box_regression));
  }

  // Merges, then compensates for what is left, and compares both forms with the network whose
  // removed channels are silent.
  void compare() {
    Detector silenced = loaded(graph, clone(state(*network)));
    testing::silence(*silenced, units, kept);
    constant_off = difference(silenced, compact(kept, compensate(*network, units, kept).state));
    merged = merge_constants(*network, units, kept);
    Detector whole = loaded(graph, merged.state);
    const State values = compensate(*whole, units, merged.kept).state;
    Detector small = compact(merged.kept, values);
    off = difference(silenced, small);
    masked_off = difference(loaded(graph, mask_state(graph, units, merged.kept, values)), small);
    merged_off = difference(silenced, whole);
  }

  // Borders included; the constant form is not, so that the comparison can fail.
  void expect_exact(size_t carriers) {
    compare();
    EXPECT_THAT(merged.left_out, IsEmpty());
    EXPECT_THAT(merged.carriers, SizeIs(carriers));
    EXPECT_LT(off, 1e-5);
    EXPECT_LT(merged_off, 1e-5);
    EXPECT_LT(masked_off, 1e-5);
    EXPECT_GT(constant_off, 1e-3);
    for (size_t unit = 0; unit < kept.size(); ++unit) {
      const auto& carriers_of = merged.carriers;
      const bool carries =
          std::count(carriers_of.begin(), carriers_of.end(), static_cast<int>(unit)) == 1;
      EXPECT_EQ(merged.kept[unit], kept[unit] || carries);
      EXPECT_FALSE(kept[unit] && carries);
    }
  }

  void expect_left_out(const std::string& reason) {
    compare();
    EXPECT_THAT(merged.left_out, ElementsAre(HasSubstr(reason)));
    EXPECT_THAT(merged.carriers, IsEmpty());
    expect_untouched();
    EXPECT_EQ(off, constant_off);
    EXPECT_LT(masked_off, 1e-5);
  }

  void expect_untouched() {
    EXPECT_EQ(merged.kept, kept);
    const State values = state(*network);
    ASSERT_EQ(merged.state.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(merged.state[i].first, values[i].first);
      EXPECT_TRUE(torch::equal(merged.state[i].second, values[i].second)) << values[i].first;
    }
  }

  static State clone(const State& values) {
    State copy;
    for (const auto& [name, tensor] : values) {
      copy.emplace_back(name, tensor.detach().clone());
    }
    return copy;
  }

  QuantizationConfig quantization;
  Graph graph;
  ChannelUnits units;
  Detector network{nullptr};
  KeptUnits kept;
  MergedConstants merged;
  double off = 0, constant_off = 0, masked_off = 0, merged_off = 0;
};

TEST_F(MergedConstantsTest, ChainsAndHeadsAreExactWithEveryActivation) {
  for (const std::string activation : {"linear", "relu", "relu6", "leaky", "h_swish", "swish"}) {
    SCOPED_TRACE(activation);
    const std::string active = "activation=" + activation + "\n";
    build(conv(8, kPadded + active) + conv(10, "size=3\npad=1\n" + active) +
          conv(12, "size=5\nstride=2\npad=same\nbatch_normalize=1\n" + active) +
          conv(9, kPadded + active + kFeature));
    remove_half();
    expect_exact(4);
  }
}

TEST_F(MergedConstantsTest, PoolsUpsamplingAndConcatsPassConstantsOn) {
  build(conv(8, kPadded + "activation=relu\n") +        // 0
        "[maxpool]\nsize=3\nstride=1\npad=1\n" +        // 1
        conv(6, kPadded + "activation=leaky\n") +       // 2
        "[avgpool]\nsize=2\nstride=2\nceil_mode=1\n" +  // 3
        "[upsample]\nstride=2\n" +                      // 4
        "[route]\nlayers=-1,1,0,-1\n" +                 // 5, twice what 4 has
        conv(7, "size=3\npad=1\nactivation=relu\n") +   // 6
        "[route]\nlayers=-1,2\n" + conv(8, kPadded + kFeature));
  for (unsigned seed = 0; seed < 4; ++seed) {
    kept.assign(kept.size(), true);
    remove_half(seed);
    expect_exact(4);
  }
}

// What an add reads is read before it too: the carriers of its members add up.
TEST_F(MergedConstantsTest, AddsWithActivationsSumConstantsAndCarriers) {
  for (const std::string activation : {"linear", "relu", "relu6", "leaky"}) {
    SCOPED_TRACE(activation);
    build(conv(8, kPadded + "activation=relu\n") + conv(8, kPadded + "activation=h_swish\n") +
          conv(8, "size=3\npad=1\n") + "[shortcut]\nfrom=-2,-3\nactivation=" + activation + "\n" +
          conv(6, kPadded + "activation=relu\n") + conv(8, kPadded) + "[shortcut]\nfrom=-3\n" +
          "[route]\nlayers=-1,0,2\n" + conv(5, kPadded + "activation=relu\n" + kFeature));
    remove_half();
    expect_exact(3);
  }
}

TEST_F(MergedConstantsTest, DepthwiseConvolutionsWithoutBorderEffectAreServed) {
  const std::string start = conv(8, kPadded + "activation=relu\n");
  const std::string end = conv(6, kPadded + "activation=relu\n" + kFeature);
  build(start + "[depthwise]\nsize=3\nbatch_normalize=1\nactivation=leaky\n" +
        "[depthwise]\nsize=3\nactivation=relu6\n" + end);
  remove_half();
  expect_exact(2);
  // With padding, where the channels that are removed have a scale or an input of 0.
  build(start + "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n" + end);
  remove("backbone.0", {1, 4, 5});
  const torch::NoGradGuard no_grad;
  block("backbone.0")->bn->bias.fill_(0.5);
  block("backbone.0")->bn->bias[4] = -0.5;
  block("backbone.1")->bn->weight[1] = 0;
  block("backbone.1")->bn->weight[5] = 0;
  expect_exact(1);
}

TEST_F(MergedConstantsTest, GroupsOnOtherWaysAreLeftToCompensation) {
  const std::string start = conv(8, kPadded);
  const std::string end = conv(6, kPadded + kFeature);
  build(start + "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\n" + end);
  remove("backbone.0", {1, 4});
  expect_left_out("backbone.0: backbone.1 is a depthwise convolution with padding");
  build(start + "[avgpool]\nsize=3\nstride=1\npad=1\n" + end);
  remove("backbone.0", {1, 4});
  expect_left_out("backbone.0: backbone.1 averages its padding");
  build(start + "[se]\nsqueeze=4\n" + end);
  remove("backbone.0", {1, 4});
  expect_left_out("backbone.0: backbone.1 is a squeeze-excite");
  build(start + conv(6, kPadded + "feature=l2_norm\nfeature_idx=0\n"));
  remove("backbone.1", {1, 4});
  expect_left_out("backbone.1: backbone.1.l2_norm is an L2Norm");
  build(start + "[depthwise]\nsize=3\nbias=0\n" + end);
  remove("backbone.0", {1, 4});
  expect_left_out("backbone.0: backbone.2 reads");
}

TEST_F(MergedConstantsTest, QuantizedReadersAreLeftToCompensation) {
  quantization.type = "lsq";
  quantization.wbits = 8;
  quantization.abits = 32;
  build(conv(8, kPadded + "quantization=0\n") + conv(6, kPadded + kFeature + "quantization=1\n"));
  remove("backbone.0", {1, 4});
  expect_left_out("backbone.0: backbone.1 is quantized");
  quantization.abits = 8;
  quantization.merge_inputs = "shared";
  build(conv(8, kPadded + "quantization=0\n") + "[route]\nlayers=-1,-1\n" +
        conv(6, kPadded + kFeature + "quantization=0\n"));
  remove("backbone.0", {1, 4});
  expect_left_out("backbone.0: backbone.1 quantizes what it merges");
}

TEST_F(MergedConstantsTest, ServedAndOtherGroupsTogetherAreTheBetterNetwork) {
  build(conv(8, kPadded + "activation=relu\n") + conv(12, kPoint + "activation=relu6\n") +
            "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n" + conv(8, kPoint) +
            "[shortcut]\nfrom=-4\nactivation=relu\n" + conv(10, kPadded + "activation=leaky\n") +
            conv(8, kPadded + "activation=h_swish\n") + "[se]\nsqueeze=4\n" +
            conv(8, kPadded + "activation=relu\n" + kFeature) +
            conv(6, kPadded + "feature=l2_norm\nfeature_idx=1\n"),
        "SSDBoxPredictor");
  for (unsigned seed = 0; seed < 4; ++seed) {
    kept.assign(kept.size(), true);
    remove_half(seed);
    compare();
    EXPECT_THAT(merged.carriers, SizeIs(3));
    EXPECT_THAT(merged.left_out, SizeIs(3));
    EXPECT_LT(masked_off, 1e-5);
    EXPECT_LT(off, constant_off);
  }
}

TEST_F(MergedConstantsTest, GroupsWithoutNeedGetNoCarrier) {
  // Nobody pads.
  build(conv(8, kPoint + "activation=relu\n") + conv(8, "size=3\nbatch_normalize=1\n") +
        "[maxpool]\nsize=3\nstride=1\npad=1\n" + conv(6, "size=3\nactivation=relu\n") +
        conv(6, kPoint + kFeature));
  remove("backbone.0", {2, 3});
  remove("backbone.1", {0, 5});
  remove("backbone.3", {0, 5});
  compare();
  EXPECT_THAT(merged.carriers, IsEmpty());
  EXPECT_THAT(merged.left_out, IsEmpty());
  expect_untouched();
  EXPECT_LT(off, 1e-5);
  // The constants are 0; the last map has one pixel.
  build(conv(8, kPadded + "activation=relu\n") + "[se]\nsqueeze=4\n" +
        conv(8, "size=16\nbatch_normalize=1\n" + kFeature));
  remove("backbone.0", {2, 3});
  remove("backbone.2", {0, 5});
  const torch::NoGradGuard no_grad;
  block("backbone.0")->bn->bias.fill_(-0.25);
  compare();
  EXPECT_THAT(merged.carriers, IsEmpty());
  EXPECT_THAT(merged.left_out, IsEmpty());
  expect_untouched();
  EXPECT_LT(off, 1e-5);
}

// By hand: two constants of three removed channels, in one column.
TEST_F(MergedConstantsTest, TheCarriersColumnHoldsTheSumOfTheOthers) {
  build(conv(5, kPoint + "activation=relu\n") + conv(3, "size=3\npad=1\n" + kFeature));
  remove("backbone.0", {1, 2, 4});
  const torch::NoGradGuard no_grad;
  block("backbone.0")->bn->bias.copy_(torch::tensor({9.0, 0.5, -2.0, 9.0, 3.0}));
  compare();
  ASSERT_THAT(merged.carriers, ElementsAre(units.of[graph.find("backbone.0")][1]));
  const auto weight = block("backbone.1")->weight;
  for (const auto& [name, tensor] : merged.state) {
    if (name == "backbone.1.weight") {
      EXPECT_TRUE(torch::allclose(tensor.select(1, 1),
                                  0.5 * weight.select(1, 1) + 3 * weight.select(1, 4)));
      EXPECT_TRUE(torch::equal(tensor.select(1, 0), weight.select(1, 0)));
      EXPECT_TRUE(torch::equal(tensor.select(1, 3), weight.select(1, 3)));
    } else if (name == "backbone.0.bn.bias") {
      EXPECT_TRUE(torch::equal(tensor, torch::tensor({9.0F, 1.0F, 0.0F, 9.0F, 0.0F})));
    } else if (name == "backbone.0.bn.weight") {
      EXPECT_EQ(tensor[1].item<float>(), 0);
      EXPECT_NE(tensor[0].item<float>(), 0);
    }
  }
}

TEST_F(MergedConstantsTest, TrainingModeIsRefused) {
  build(conv(5, kPadded + kFeature));
  network->train();
  EXPECT_THROW(merge_constants(*network, units, kept), Error);
}

}  // namespace
}  // namespace ssdq
