#include "ssdq/modeling/detector.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/modeling/state.h"
#include "ssdq/quantization/dorefa_quantizer.h"
#include "ssdq/utils/error.h"
#include "tests/modeling/graph_builder.h"

namespace ssdq {
namespace {

constexpr int kClasses = 3;

Detector make_detector(uint64_t seed, int bits = 32) {
  torch::manual_seed(seed);
  QuantizationConfig config;
  config.type = "dorefa";
  config.wbits = config.abits = bits;
  config.final_layer = "true";
  return Detector(
      testing::small_detector(), kClasses,
      [&](const std::string&, const Options&) { return make_dorefa(config); }, config);
}

TEST(Detector, LaysOutputsOutByLevelRowColumnAndBox) {
  Detector detector = make_detector(1);
  detector->eval();
  const torch::Tensor x = torch::randn({2, 3, 12, 16});
  const DetectorOutput output = detector->forward(x);
  // The graph names the box map before the class map of each level.
  std::vector<NodeId> nodes;
  for (const char* name : {"head.cls.0", "head.cls.1", "head.box.0", "head.box.1"}) {
    nodes.push_back(detector->graph().find(name));
  }
  GraphModule maps_of(detector->graph(), infer_shapes(detector->graph()), GraphQuantization{},
                      nodes);
  maps_of->eval();
  load_state(*maps_of, state(*detector));
  const auto maps = maps_of->forward(x);
  ASSERT_EQ(output.class_logits.sizes(),
            (std::vector<int64_t>{2, 6 * 8 * 2 + 3 * 4 * 3, kClasses}));
  ASSERT_EQ(output.box_regression.size(2), 4);
  EXPECT_EQ(detector->num_priors(), output.box_regression.size(1));
  for (int64_t n = 0; n < 2; ++n) {
    int64_t prior = 0;
    for (int level = 0; level < 2; ++level) {
      const torch::Tensor &scores = maps[level], &boxes = maps[2 + level];
      for (int64_t row = 0; row < scores.size(2); ++row) {
        for (int64_t column = 0; column < scores.size(3); ++column) {
          for (int64_t box = 0; box < 2 + level; ++box, ++prior) {
            const torch::Tensor s = scores[n].slice(0, box * kClasses, (box + 1) * kClasses);
            const torch::Tensor b = boxes[n].slice(0, box * 4, (box + 1) * 4);
            ASSERT_TRUE(torch::allclose(output.class_logits[n][prior],
                                        s.select(1, row).select(1, column), 1e-5, 1e-6));
            ASSERT_TRUE(torch::allclose(output.box_regression[n][prior],
                                        b.select(1, row).select(1, column), 1e-5, 1e-6));
          }
        }
      }
    }
  }
}

TEST(Detector, MemoryFormatDoesNotChangeOutputs) {
  Detector detector = make_detector(2, 8);
  detector->eval();
  const torch::Tensor x = torch::randn({2, 3, 12, 16});
  const DetectorOutput rows = detector->forward(x);
  to_channels_last(*detector);
  const DetectorOutput pixels = detector->forward(x.contiguous(torch::MemoryFormat::ChannelsLast));
  // A rounding difference may move an activation to the neighbouring code.
  EXPECT_TRUE(torch::allclose(rows.class_logits, pixels.class_logits, 1e-3, 2e-2));
  EXPECT_TRUE(torch::allclose(rows.box_regression, pixels.box_regression, 1e-3, 2e-2));
}

TEST(Detector, SameSeedGivesTheSameWeightsAndAnotherSeedOthers) {
  const State a = state(*make_detector(3)), b = state(*make_detector(3)),
              c = state(*make_detector(4));
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(torch::equal(a[i].second, b[i].second)) << a[i].first;
  }
  EXPECT_FALSE(torch::equal(a[0].second, c[0].second));
}

TEST(Detector, FoldedQuantizedDetectorGivesTheSameOutputs) {
  for (const int bits : {32, 8}) {
    Detector detector = make_detector(5, bits);
    for (int step = 0; step < 3; ++step) {
      detector->forward(torch::randn({2, 3, 12, 16}) * 3);  // moves the running statistics
    }
    detector->eval();
    const torch::Tensor x = torch::randn({2, 3, 12, 16}) * 3;
    const DetectorOutput before = detector->forward(x);
    detector->fold_batch_norm();
    const DetectorOutput after = detector->forward(x);
    EXPECT_TRUE(
        torch::allclose(before.class_logits, after.class_logits, 1e-3, bits == 32 ? 1e-4 : 2e-2));
  }
}

TEST(Detector, QuantizesWhatThePlanNames) {
  const Detector detector = make_detector(6, 4);
  std::vector<std::string> quantized;
  for (const auto& [name, block] : detector->convolutions()) {
    if (block->named_children().contains("weight_quantizer")) {
      quantized.push_back(name);
    }
  }
  EXPECT_EQ(quantized, (std::vector<std::string>{"backbone.1", "head.box.0", "head.cls.0",
                                                 "head.box.1", "head.cls.1"}));
}

TEST(Detector, EveryParameterGetsAGradient) {
  Detector detector = make_detector(7, 8);
  const DetectorOutput output = detector->forward(torch::randn({2, 3, 12, 16}));
  (output.class_logits.square().sum() + output.box_regression.square().sum()).backward();
  for (const auto& parameter : detector->named_parameters()) {
    EXPECT_TRUE(parameter.value().grad().defined()) << parameter.key();
  }
}

TEST(Detector, RefusesClassMapsThatDoNotBelongToTheBoxMaps) {
  try {
    Detector detector(testing::small_detector(), 5, nullptr, QuantizationConfig{});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "level 0: a class map of 6 channels, 6 x 8, for 5 classes does not belong to a box "
        "map of 8 channels, 6 x 8");
  }
}

}  // namespace
}  // namespace ssdq
