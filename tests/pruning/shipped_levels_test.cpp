#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../utils/temp_folder.h"
#include "random_network.h"
#include "ssdq/config/reader.h"
#include "ssdq/config/writer.h"
#include "ssdq/engine/levels.h"
#include "ssdq/engine/registries.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/importance.h"
#include "ssdq/pruning/levels.h"
#include "ssdq/pruning/selection.h"
#include "ssdq/pruning/surgery.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Experiment shipped(const std::string& config, Registries& registries) {
  const auto loaded =
      load_config(SSDQ_SOURCE_DIR "/configs/" + config + ".yaml", {"MODEL.DEVICE", "cpu"});
  return build_experiment(loaded.config, loaded.file, registries);
}

// What is built of the files that pruning writes.
Experiment written_and_read(const Experiment& part, Registries& registries) {
  const testing::TempFolder folder;
  testing::write_text(folder / "part.cfg", part.graph_cfg);
  Config config = part.config;
  config.model.backbone.cfg = "part.cfg";
  testing::write_text(folder / "part.yaml", to_yaml(config));
  const auto loaded = load_config(folder / "part.yaml");
  validate(loaded.config, loaded.origins, known_names(registries));
  return build_experiment(loaded.config, loaded.file, registries);
}

std::vector<std::string> shipped_configs() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SSDQ_SOURCE_DIR "/configs")) {
    if (entry.path().extension() == ".yaml") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ShippedLevels : public ::testing::TestWithParam<std::string> {};

TEST_P(ShippedLevels, AreWrittenAndReadWithTheFirstPriors) {
  auto registries = builtin_registries();
  const Experiment whole = shipped(GetParam(), registries);
  const auto levels = static_cast<int>(whole.graph.features.size());
  for (int keep = 1; keep < levels; ++keep) {
    const Experiment part = first_levels(whole, keep);
    const Experiment again = written_and_read(part, registries);
    ASSERT_EQ(again.graph, part.graph) << keep;
    ASSERT_EQ(again.feature_maps, part.feature_maps);
    ASSERT_EQ(again.priors.size(), part.priors.size());
    ASSERT_LT(again.priors.size(), whole.priors.size());
    for (size_t i = 0; i < again.priors.size(); ++i) {
      const CenterBox &a = again.priors[i], &b = whole.priors[i];
      ASSERT_TRUE(a.cx == b.cx && a.cy == b.cy && a.w == b.w && a.h == b.h) << keep << ": " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedLevels, ::testing::ValuesIn(shipped_configs()),
                         [](const auto& test) { return test.param; });

DetectorOutput run(const Experiment& of, const State& values) {
  Detector detector = build_detector(of);
  load_state_strict(*detector, values, "the state");
  detector->eval();
  const torch::NoGradGuard no_grad;
  torch::manual_seed(4);
  const Size2 size = of.config.input.image_size;
  return detector->forward(torch::randn({1, 3, size.height, size.width}));
}

class ShippedOutputs : public ::testing::TestWithParam<const char*> {};

int64_t count_values(const State& state) {
  int64_t count = 0;
  for (const auto& entry : state) {
    count += entry.second.numel();
  }
  return count;
}

// The same operations on the same numbers: equal, not close.
TEST_P(ShippedOutputs, OfFewerLevelsAreTheFirstOfAll) {
  torch::manual_seed(2);
  torch::set_num_threads(2);
  auto registries = builtin_registries();
  const Experiment whole = shipped(GetParam(), registries);
  Detector network = build_detector(whole);
  testing::randomize(*network);
  const State values = state(*network);
  const auto all = run(whole, values);
  const auto levels = static_cast<int>(whole.graph.features.size());
  for (const int keep : {1, levels - 1}) {
    const Experiment part = first_levels(whole, keep);
    const State rest = state_of_part(whole.graph, part.graph, values);
    const auto first = run(part, rest);
    const auto priors = static_cast<int64_t>(part.priors.size());
    ASSERT_TRUE(torch::equal(first.class_logits, all.class_logits.narrow(1, 0, priors))) << keep;
    ASSERT_TRUE(torch::equal(first.box_regression, all.box_regression.narrow(1, 0, priors)));
    std::set<std::string> names;
    for (const auto& entry : rest) {
      names.insert(entry.first);
    }
    int64_t left_out = 0;
    for (const auto& [name, tensor] : values) {
      left_out += names.count(name) == 0 ? tensor.numel() : 0;
    }
    EXPECT_GT(left_out, 0);
    EXPECT_EQ(count_values(rest) + left_out, count_values(values));
  }
}

// One of each family of backbone and predictor, and quantized ones.
INSTANTIATE_TEST_SUITE_P(Families, ShippedOutputs,
                         ::testing::Values("vgg_mini_ssd300_bccd", "vgg_mini_ssd300_bccd_quan_w8a8",
                                           "vgg_bn_ssd300_voc0712",
                                           "mobilenet_v1_ssd_lite300_voc0712",
                                           "mobilenet_v2_ssd320_quan_w8a8",
                                           "mobilenet_v3_ssdlite320_torchvision_voc0712",
                                           "resnet18_ssd300_coco", "ultralight_rfb320_face"),
                         [](const auto& test) { return std::string(test.param); });

// All steps: the scales of one convolution between levels 2 and 3 are 0.
TEST(FirstLevels, ArePrunedAsChosenInTheWholeDetector) {
  torch::manual_seed(2);
  auto registries = builtin_registries();
  const Experiment whole = shipped("vgg_mini_ssd300_bccd", registries);
  Detector network = build_detector(whole);
  testing::randomize(*network);
  const NodeId cut = whole.graph.nodes[whole.graph.features[3]].inputs.front();
  const State values = state(*network);
  for (const auto& [name, tensor] : values) {
    if (name == whole.graph.nodes[cut].name + ".bn.weight") {
      const torch::NoGradGuard no_grad;
      tensor.zero_();
    }
  }
  const auto units = channel_units(whole.graph);
  const auto groups = groups_in_scope(whole.graph, units, PruneScope::kNormal);
  const auto scores = unit_scores(*network, units, groups, Importance::kBatchNorm, 0);
  const double threshold = threshold_at(sorted_scores(groups, scores), 0.4);
  const auto selected = select_units(groups, scores, threshold, {});
  ASSERT_EQ(levels_to_keep(whole.graph, units, groups, scores, threshold), 3);

  const Experiment part = first_levels(whole, 3);
  const State of_part = state_of_part(whole.graph, part.graph, values);
  const auto part_units = channel_units(part.graph);
  const auto kept = kept_in_part(whole.graph, units, selected, part.graph, part_units);
  Experiment compact = part;
  compact.graph = prune_graph(part.graph, part_units, kept);
  const auto masked = run(part, mask_state(part.graph, part_units, kept, of_part));
  const auto pruned = run(compact, prune_state(part.graph, part_units, kept, of_part));
  EXPECT_LT((masked.class_logits - pruned.class_logits).abs().max().item<double>(),
            1e-4 * masked.class_logits.abs().max().item<double>());
  const auto all = run(whole, mask_state(whole.graph, units, selected, values));
  EXPECT_TRUE(torch::equal(masked.class_logits,
                           all.class_logits.narrow(1, 0, masked.class_logits.size(1))));
}

TEST(FirstLevels, ChooseThePredictorOfTheHeadsThatStay) {
  auto registries = builtin_registries();
  const auto predictor = [&](const char* config, int keep) {
    return first_levels(shipped(config, registries), keep).config.model.box_head.predictor;
  };
  EXPECT_EQ(predictor("vgg_mini_ssd300_bccd", 2), "SSDBoxPredictor");
  EXPECT_EQ(predictor("mobilenet_v2_ssd_lite300_voc0712", 5), "SSDLiteFullBoxPredictor");
  EXPECT_EQ(predictor("mobilenet_v2_ssd_lite300_voc0712", 6), "SSDLiteBoxPredictor");
  EXPECT_EQ(predictor("mobilenet_v2_ssdlite300_tf_voc", 3), "SSDLiteFoldedBoxPredictor");
  EXPECT_EQ(predictor("mobilenet_v1_ssd_lite300_voc0712", 4), "SeparableFullBoxPredictor");
  EXPECT_EQ(predictor("ultralight_rfb320_face", 3), "SeparableFullBoxPredictor");
}

// A project's predictor that makes something else of a last level, and no other one for the rest.
TEST(FirstLevels, RefuseHeadsThatNoPredictorMakes) {
  auto registries = builtin_registries();
  registries.heads.add({"Odd", "", [](Graph& graph, const HeadSpec& spec) {
                          const auto first = graph.nodes.size();
                          builtin_heads().find("SSDBoxPredictor").append(graph, spec);
                          for (auto id = first; id < graph.nodes.size(); ++id) {
                            if (auto* conv = std::get_if<Conv>(&graph.nodes[id].op)) {
                              conv->dilation =
                                  conv->padding = {static_cast<int>(graph.features.size()),
                                                   static_cast<int>(graph.features.size())};
                            }
                          }
                        }});
  const auto loaded = load_config(SSDQ_SOURCE_DIR "/configs/vgg_mini_ssd300_bccd.yaml",
                                  {"MODEL.DEVICE", "cpu", "MODEL.BOX_HEAD.PREDICTOR", "Odd"});
  const auto whole = build_experiment(loaded.config, loaded.file, registries);
  EXPECT_THAT(
      [&] { first_levels(whole, 4); },
      ::testing::ThrowsMessage<ConfigError>(
          "MODEL.BOX_HEAD.PREDICTOR: no registered predictor makes the heads that Odd has on "
          "its first 4 levels; keep all levels"));
}

TEST(FirstLevels, QuantizeNodesAsBefore) {
  auto registries = builtin_registries();
  Experiment whole = shipped("vgg_mini_ssd300_bccd_quan_w8a8", registries);
  QuantizationRule last, all;
  last.match = "head.*.5";
  last.skip = true;
  all.match = "head.cls.*";
  all.wbits = 4;
  whole.config.quantization.policy = {last, all};
  const auto part = first_levels(whole, 5).config.quantization;
  EXPECT_THAT(part.policy, ::testing::ElementsAre(all));
  EXPECT_EQ(part.layers, "auto");
  for (const int level : {0, 3}) {
    Experiment marked = shipped("vgg_mini_ssd300_bccd", registries);
    marked.graph.nodes[marked.graph.features[level]].quantization.enabled = true;
    EXPECT_EQ(first_levels(marked, 2).config.quantization.layers, level < 2 ? "auto" : "marked");
  }
}

}  // namespace
}  // namespace ssdq
