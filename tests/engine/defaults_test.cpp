#include "ssdq/engine/defaults.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/config/reader.h"

namespace ssdq {
namespace {

TEST(DefaultHooks, RunInTheirOrder) {
  const auto dir = std::filesystem::temp_directory_path() / "ssdq_default_hooks_test";
  auto registries = builtin_registries();
  const auto loaded = load_config(SSDQ_SOURCE_DIR "/configs/vgg_mini_ssd300_bccd.yaml",
                                  {"MODEL.DEVICE", "cpu", "OUTPUT_DIR", dir.string()});
  const auto experiment = build_experiment(loaded.config, loaded.file, registries);
  const auto run = build_training(experiment, /*resume=*/false, /*dry_run=*/false);
  add_writers(*run, experiment, 0);
  EXPECT_THAT(run->trainer->hook_names(),
              testing::ElementsAre("iteration_timer", "lr_scheduler", "ema", "periodic_checkpoint",
                                   "evaluation", "best_checkpoint", "periodic_writer"));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace ssdq
