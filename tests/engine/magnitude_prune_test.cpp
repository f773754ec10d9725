#include "ssdq/engine/magnitude_prune.h"

#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>
#include <nlohmann/json.hpp>

#include "../e2e/shapes_dataset.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/engine/weights.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"

namespace ssdq {
namespace {

using ::testing::HasSubstr;

class MagnitudePruning : public testing::ShapesTest {
 protected:
  void SetUp() override {
    ShapesTest::SetUp();
    loaded = load_config(config(), {"MODEL.DEVICE", "cpu"});
    torch::manual_seed(1);
    Checkpoint checkpoint;
    checkpoint.model =
        state(*build_detector(build_experiment(loaded.config, loaded.file, registries)));
    checkpoint.extra["class_names"] = "box\ndisc";
    options.weights = output("dense.safetensors");
    options.output = output("sparse");
    options.amount = 0.6;
    save_checkpoint(options.weights, checkpoint);
  }

  MagnitudeReport prune() { return run_magnitude_pruning(loaded, options, registries); }

  Registries registries = builtin_registries();
  LoadedConfig loaded;
  MagnitudePruneOptions options;
};

TEST_F(MagnitudePruning, WritesADetectorThatEvaluatesAsItIs) {
  const auto report = prune();
  EXPECT_EQ(report.zeros, static_cast<int64_t>(0.6 * static_cast<double>(report.total)));
  ASSERT_EQ(report.evaluations.size(), 2U);
  EXPECT_EQ(report.files.size(), 4U);
  for (const auto& file : report.files) EXPECT_TRUE(std::filesystem::exists(file)) << file;

  const auto again = load_config(output("sparse/shapes_sparse.yaml"));
  const auto experiment = build_experiment(again.config, again.file, registries);
  Detector detector = build_detector(experiment);
  const auto weights = load_weights(detector, output("sparse/shapes_sparse.safetensors"));
  EXPECT_EQ(weights.class_names.size(), 2U);
  EXPECT_EQ(again.config.model.weights, "shapes_sparse.safetensors");
  int64_t zeros = 0;
  for (const auto& [name, block] : detector->convolutions()) {
    zeros += (block->weight == 0).sum().item<int64_t>();
  }
  EXPECT_EQ(zeros, report.zeros);
  detector->eval();
  EXPECT_EQ(evaluate(detector, experiment)[0].table.metrics,
            report.evaluations[1].second[0].table.metrics);
  const auto facts = nlohmann::json::parse(read_file(output("sparse/report.json")));
  EXPECT_EQ(facts["layers"].size(), detector->convolutions().size());
  EXPECT_EQ(facts["metrics"].size(), 2U);
  EXPECT_THAT(read_file(output("sparse/report.md")), HasSubstr("| head.box.1.weight"));
}

TEST_F(MagnitudePruning, ReplacesFilesWithForceOnly) {
  loaded.config.datasets.test.clear();
  EXPECT_TRUE(prune().evaluations.empty());
  EXPECT_THROW(prune(), ConfigError);
  options.force = true;
  options.amount = 0;
  EXPECT_EQ(prune().zeros, 0);
}

TEST_F(MagnitudePruning, RefusesWrongAmountsBeforeItWrites) {
  options.amount = 1;
  EXPECT_THROW(prune(), ConfigError);
  EXPECT_FALSE(std::filesystem::exists(options.output));
}

}  // namespace
}  // namespace ssdq
