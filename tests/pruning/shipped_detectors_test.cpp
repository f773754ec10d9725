#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "random_network.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/compensation.h"
#include "ssdq/pruning/importance.h"
#include "ssdq/pruning/merged_constants.h"
#include "ssdq/pruning/selection.h"
#include "ssdq/pruning/surgery.h"

namespace ssdq {
namespace {

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>() / a.abs().max().item<double>();
}

class ShippedDetector : public ::testing::TestWithParam<std::pair<const char*, PruneScope>> {
 protected:
  void SetUp() override {
    torch::manual_seed(2);
    torch::set_num_threads(2);
    const auto loaded =
        load_config(std::string(SSDQ_SOURCE_DIR "/configs/") + GetParam().first + ".yaml",
                    {"MODEL.DEVICE", "cpu", "QUANTIZATION.TYPE", "none"});
    experiment = build_experiment(loaded.config, loaded.file, registries);
    units = channel_units(experiment.graph);
    network = build_detector(experiment);
    testing::randomize(*network, /*shrink=*/0.4);
    network->eval();
  }

  static Detector loaded(const Experiment& of, const State& values) {
    Detector detector = build_detector(of);
    load_state_strict(*detector, values, "the state");
    detector->eval();
    return detector;
  }

  static DetectorOutput run(const Experiment& of, Detector detector) {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(4);
    const Size2 size = of.config.input.image_size;
    return detector->forward(torch::randn({1, 3, size.height, size.width}));
  }

  static DetectorOutput run(const Experiment& of, const State& values) {
    return run(of, loaded(of, values));
  }

  DetectorOutput run_compact(const KeptUnits& kept, const State& values) const {
    Experiment compact = experiment;
    compact.graph = prune_graph(experiment.graph, units, kept);
    return run(compact, prune_state(experiment.graph, units, kept, values));
  }

  // What the written cfg and the configuration's heads make of the pruned backbone.
  Graph rebuilt(const Graph& pruned) {
    const Config& config = experiment.config;
    Graph graph = parse_cfg(write_cfg(pruned), "pruned.cfg", config.input.image_size);
    append_heads(registries.heads, graph,
                 {config.model.box_head.predictor, boxes_per_location(config.model.priors),
                  config.model.num_classes});
    return graph;
  }

  Registries registries = builtin_registries();
  Experiment experiment;
  ChannelUnits units;
  Detector network{nullptr};
};

TEST_P(ShippedDetector, CompactEqualsMaskedAndIsRebuiltFromItsCfg) {
  const auto groups = groups_in_scope(experiment.graph, units, GetParam().second);
  const auto scores = unit_scores(*network, units, groups, Importance::kBatchNorm, 0);
  const auto kept =
      select_units(groups, scores, threshold_at(sorted_scores(groups, scores), 0.5), {});
  Experiment compact = experiment;
  compact.graph = prune_graph(experiment.graph, units, kept);
  ASSERT_EQ(rebuilt(compact.graph), compact.graph);
  const State values = compensate(*network, units, kept).state;
  const auto masked = run(experiment, mask_state(experiment.graph, units, kept, values));
  const auto pruned = run(compact, prune_state(experiment.graph, units, kept, values));
  EXPECT_LT(difference(masked.class_logits, pruned.class_logits), 1e-4);
  EXPECT_LT(difference(masked.box_regression, pruned.box_regression), 1e-4);
  const auto whole = run(experiment, state(*network));
  EXPECT_GT(difference(whole.class_logits, pruned.class_logits), 1e-3);
}

TEST_P(ShippedDetector, MergedConstantsAreNoFartherFromSilencedChannels) {
  const auto groups = groups_in_scope(experiment.graph, units, GetParam().second);
  const auto scores = unit_scores(*network, units, groups, Importance::kBatchNorm, 0);
  const auto kept =
      select_units(groups, scores, threshold_at(sorted_scores(groups, scores), 0.5), {});
  Detector silenced = loaded(experiment, state(*network));
  testing::silence(*silenced, units, kept);
  const auto expected = run(experiment, silenced).class_logits;
  const auto constant = run_compact(kept, compensate(*network, units, kept).state);

  const auto merged = merge_constants(*network, units, kept);
  Detector whole = loaded(experiment, merged.state);
  const State values = compensate(*whole, units, merged.kept).state;
  const auto masked = run(experiment, mask_state(experiment.graph, units, merged.kept, values));
  const auto pruned = run_compact(merged.kept, values);
  EXPECT_LT(difference(masked.class_logits, pruned.class_logits), 1e-4);
  EXPECT_LT(difference(masked.box_regression, pruned.box_regression), 1e-4);
  const double off = difference(expected, pruned.class_logits);
  const double constant_off = difference(expected, constant.class_logits);
  if (merged.carriers.empty()) {
    EXPECT_EQ(merged.kept, kept);
    EXPECT_EQ(off, constant_off);
  } else {
    EXPECT_LT(off, constant_off);
  }
  if (merged.left_out.empty()) {
    EXPECT_LT(off, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(
    BackbonesHeadsAndScopes, ShippedDetector,
    ::testing::Values(std::make_pair("vgg_mini_ssd300_bccd", PruneScope::kNormal),
                      std::make_pair("vgg_bn_ssd300_fpga_voc0712", PruneScope::kNormal),
                      std::make_pair("mobilenet_v2_ssd_lite300_voc0712", PruneScope::kNormal),
                      std::make_pair("mobilenet_v2_ssd_lite300_voc0712", PruneScope::kShortcut),
                      std::make_pair("mobilenet_v2_ssd_lite300_voc0712", PruneScope::kAll),
                      std::make_pair("mobilenet_v3_ssdlite320_torchvision_voc0712",
                                     PruneScope::kAll),
                      std::make_pair("resnet18_ssd300_coco", PruneScope::kShortcut),
                      std::make_pair("ultralight_rfb320_face", PruneScope::kAll)),
    [](const auto& test) {
      return std::string(test.param.first) + "_" + to_string(test.param.second);
    });

}  // namespace
}  // namespace ssdq
