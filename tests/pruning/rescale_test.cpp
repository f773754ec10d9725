#include "ssdq/pruning/rescale.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "random_network.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/surgery.h"
#include "ssdq/quantization/build.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A network whose second weight has its largest values in a channel that is removed.
class RescaleStatistics : public ::testing::TestWithParam<const char*> {
 protected:
  void prune(const std::string& keys_of_second) {
    graph = parse_cfg(
        "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\nactivation=relu\n"
        "[convolutional]\nfilters=6\nsize=1\nactivation=relu\nfeature=linear\n"
        "feature_idx=0\n" +
            keys_of_second,
        "net.cfg", {8, 8});
    append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {2}, 3});
    units = channel_units(graph);
    kept.assign(static_cast<size_t>(units.count), true);
    kept[units.of[graph.find("backbone.0")][2]] = false;
    torch::manual_seed(6);
    Detector whole = detector(graph);
    testing::randomize(*whole);
    {
      const torch::NoGradGuard no_grad;
      whole->convolutions()[1].second->weight.select(1, 2).fill_(4);
    }
    const State values = state(*whole);
    masked = loaded(graph, mask_state(graph, units, kept, values));
    compact = loaded(prune_graph(graph, units, kept), prune_state(graph, units, kept, values));
  }

  Detector detector(const Graph& of) const {
    QuantizerRegistry registry;
    register_quantizers(registry);
    QuantizationConfig config;
    config.type = GetParam();
    config.wbits = 16;
    config.abits = 32;
    return Detector(of, 3, quantization_methods(registry, config), config);
  }

  Detector loaded(const Graph& of, const State& values) const {
    Detector made = detector(of);
    load_state_strict(*made, values, "the state");
    made->eval();
    return made;
  }

  double difference() {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(7);
    const auto images = torch::randn({1, 3, 8, 8});
    const auto a = masked->forward(images).class_logits, b = compact->forward(images).class_logits;
    return ((a - b).abs().max() / a.abs().max()).item<double>();
  }

  Graph graph;
  ChannelUnits units;
  KeptUnits kept;
  Detector masked{nullptr}, compact{nullptr};
};

TEST_P(RescaleStatistics, TakesUpTheScaleThatFewerWeightsGive) {
  prune("batch_normalize=1\n");
  EXPECT_GT(difference(), 0.05);
  EXPECT_THAT(rescale_statistics(*masked, units, kept, *compact), IsEmpty());
  EXPECT_LT(difference(), 1e-3);
}

TEST_P(RescaleStatistics, NamesConvolutionsThatCannot) {
  prune("");
  EXPECT_THAT(rescale_statistics(*masked, units, kept, *compact), ElementsAre("backbone.1"));
}

INSTANTIATE_TEST_SUITE_P(Methods, RescaleStatistics, ::testing::Values("dorefa", "pact"));

}  // namespace
}  // namespace ssdq
