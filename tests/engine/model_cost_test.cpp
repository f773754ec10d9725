#include "ssdq/engine/model_cost.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../e2e/shapes_dataset.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/histograms.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class ModelCosts : public testing::ShapesTest {
 protected:
  Experiment experiment(const std::vector<std::string>& overrides) {
    const auto loaded = load_config(config(), overrides);
    return build_experiment(loaded.config, loaded.file, registries);
  }

  Registries registries = builtin_registries();
};

TEST_F(ModelCosts, TakeTheWidthsThatTheMethodsUse) {
  const auto plain = experiment({});
  EXPECT_TRUE(code_widths(build_detector(plain)).empty());
  const auto check = [&](const std::string& type, int wbits, int abits, int weights, int inputs) {
    const auto quantized =
        experiment({"QUANTIZATION.TYPE", type, "QUANTIZATION.WBITS", std::to_string(wbits),
                    "QUANTIZATION.ABITS", std::to_string(abits), "QUANTIZATION.LAYERS", "all"});
    const auto widths = code_widths(build_detector(quantized));
    ASSERT_FALSE(widths.empty()) << type;
    for (const auto& [node, one] : widths) {
      EXPECT_EQ(one.weights, weights) << type << " " << node;
      EXPECT_EQ(one.inputs, inputs) << type << " " << node;
    }
    const auto model = model_cost(quantized, 0);
    EXPECT_LT(model.cost.weight_bytes, 4 * model.cost.params);
    EXPECT_TRUE(model.node_ms.empty());
  };
  check("uniform", 4, 8, 4, 8);
  check("bwn", 2, 2, 1, 1);  // binary codes have one bit
  check("bwn", 3, 32, 2, 32);
}

TEST_F(ModelCosts, MeasureEachNodeAndLeaveTheDetectorAsItWas) {
  const auto quantized = experiment({"QUANTIZATION.TYPE", "uniform", "QUANTIZATION.WBITS", "8",
                                     "QUANTIZATION.ABITS", "8", "QUANTIZATION.LAYERS", "all"});
  auto detector = build_detector(quantized);
  detector->train();
  std::vector<torch::Tensor> before;
  for (const auto& entry : state(*detector)) before.push_back(entry.second.clone());
  const auto times = measure_nodes(detector, quantized, 3);
  ASSERT_EQ(times.size(), quantized.graph.nodes.size());
  EXPECT_THAT(times, ::testing::Each(::testing::Ge(0)));
  EXPECT_TRUE(detector->is_training());
  std::size_t i = 0;
  for (const auto& [name, tensor] : state(*detector)) {
    const bool of_quantizer = name.find("quantizer") != std::string::npos;
    EXPECT_TRUE(of_quantizer || torch::equal(tensor, before[i])) << name;
    ++i;
  }
  EXPECT_THROW(measure_nodes(detector, quantized, 0), ConfigError);
  EXPECT_THROW(model_cost(quantized, -1), ConfigError);
}

TEST_F(ModelCosts, VisitorsSeeEachNodeOnceWithItsShape) {
  const auto plain = experiment({});
  auto detector = build_detector(plain);
  detector->eval();
  const auto shapes = infer_shapes(plain.graph);
  const auto size = plain.config.input.image_size;
  const auto image = torch::rand({1, 3, size.height, size.width});
  std::size_t next = 0;
  const auto outputs = detector->run(image, [&](NodeId id, const torch::Tensor& output) {
    ASSERT_EQ(id, static_cast<NodeId>(next++));
    EXPECT_EQ(output.size(1), shapes[id].channels);
    EXPECT_EQ(output.size(2), shapes[id].size.height);
  });
  EXPECT_EQ(next, shapes.size());
  const auto again = detector->run(image);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_TRUE(torch::equal(outputs[i], again[i]));
  }
}

TEST_F(ModelCosts, HistogramsAreDrawnOfEachQuantizedTensor) {
  const auto quantized = experiment({"QUANTIZATION.TYPE", "uniform", "QUANTIZATION.WBITS", "4",
                                     "QUANTIZATION.ABITS", "8", "QUANTIZATION.LAYERS", "all"});
  auto detector = build_detector(quantized);
  const auto dataset = open_datasets(quantized, quantized.config.datasets.test, false);
  const int convolutions = static_cast<int>(code_widths(detector).size());
  EXPECT_EQ(write_weight_histograms(detector, output("pictures")), convolutions);
  EXPECT_THROW(write_input_histograms(detector, quantized, *dataset, 2, output("pictures")), Error);
  measure_nodes(detector, quantized, 1);  // sets ranges
  EXPECT_EQ(write_input_histograms(detector, quantized, *dataset, 2, output("pictures")),
            convolutions);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(output("pictures"))) {
    const std::string name = entry.path().filename().string();
    EXPECT_THAT(name, ::testing::ContainsRegex("\\.(weight|input)\\.png$"));
    ++files;
  }
  EXPECT_EQ(files, 2 * convolutions);
}

}  // namespace
}  // namespace ssdq
