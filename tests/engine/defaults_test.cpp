#include "ssdq/engine/defaults.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/config/reader.h"

namespace ssdq {
namespace {

std::vector<std::string> hooks_of(const std::string& config, int bn_reestimate_batches,
                                  const std::string& prune = "none") {
  const auto dir = std::filesystem::temp_directory_path() / "ssdq_default_hooks_test";
  auto registries = builtin_registries();
  const auto loaded = load_config(SSDQ_SOURCE_DIR "/configs/" + config,
                                  {"MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", ".", "SOLVER.EMA", "0.9",
                                   "OUTPUT_DIR", dir.string(), "PRUNE.TYPE", prune});
  auto experiment = build_experiment(loaded.config, loaded.file, registries);
  experiment.config.quantization.bn_reestimate_batches = bn_reestimate_batches;
  const auto run = build_training(experiment, /*resume=*/false, /*dry_run=*/false);
  add_writers(*run, experiment, 0);
  std::filesystem::remove_all(dir);
  return run->trainer->hook_names();
}

TEST(DefaultHooks, RunInTheirOrder) {
  EXPECT_THAT(hooks_of("vgg_mini_ssd300_bccd.yaml", 2),
              testing::ElementsAre("iteration_timer", "lr_scheduler", "ema", "periodic_checkpoint",
                                   "evaluation", "best_checkpoint", "periodic_writer"));
}

TEST(DefaultHooks, OfAQuantizedDetectorTrainedForPruningRunInTheirOrder) {
  EXPECT_THAT(hooks_of("vgg_mini_ssd300_bccd_quan_w8a8.yaml", 2, "normal"),
              testing::ElementsAre("iteration_timer", "lr_scheduler", "quantization_schedule",
                                   "sparsity", "ema", "bn_reestimation", "periodic_checkpoint",
                                   "evaluation", "best_checkpoint", "periodic_writer"));
}

}  // namespace
}  // namespace ssdq
