#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"
#include "ssdq/layers/multibox_loss.h"

namespace ssdq {
namespace {

std::vector<std::string> shipped_configs() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(SSDQ_SOURCE_DIR "/configs")) {
    if (entry.path().extension() == ".yaml") {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string name_of(const testing::TestParamInfo<std::string>& info) {
  return std::filesystem::path(info.param).stem().string();
}

class ShippedConfig : public testing::TestWithParam<std::string> {};

// The step runs on the configured input size: its cost is what a user would see, and every map and
// every head takes part.
TEST_P(ShippedConfig, LoadsBuildsAndTrainsAStep) {
  auto registries = builtin_registries();
  const auto loaded = load_config(GetParam(), {"MODEL.DEVICE", "cpu"});
  validate(loaded.config, loaded.origins, known_names(registries));
  const auto experiment = build_experiment(loaded.config, loaded.file, registries);
  torch::manual_seed(1);
  torch::set_num_threads(2);
  Detector detector = build_detector(experiment);
  const auto size = loaded.config.input.image_size;
  const auto priors = static_cast<int64_t>(experiment.priors.size());
  const auto images =
      torch::randn({2, 3, size.height, size.width}).contiguous(at::MemoryFormat::ChannelsLast);
  auto labels = torch::zeros({2, priors}, torch::kInt64);
  labels.index_put_(
      {torch::indexing::Slice(), torch::indexing::Slice(0, torch::indexing::None, 50)}, 1);
  const auto output = detector->forward(images);
  ASSERT_EQ(output.class_logits.sizes(),
            (std::vector<int64_t>{2, priors, loaded.config.model.num_classes}));
  ASSERT_EQ(output.box_regression.sizes(), (std::vector<int64_t>{2, priors, 4}));
  const auto loss = multibox_loss(output.class_logits, output.box_regression, labels,
                                  torch::zeros({2, priors, 4}), 3);
  (loss.classification + loss.localization).backward();
  for (const auto& parameter : detector->named_parameters()) {
    ASSERT_TRUE(parameter->grad().defined()) << parameter.key();
    ASSERT_TRUE(torch::isfinite(parameter->grad()).all().item<bool>()) << parameter.key();
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedConfig, testing::ValuesIn(shipped_configs()), name_of);

}  // namespace
}  // namespace ssdq
