#include "ssdq/engine/weights.h"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../e2e/shapes_dataset.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/registries.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

using ::testing::HasSubstr;

class InitialWeights : public testing::ShapesTest {
 protected:
  void SetUp() override {
    ShapesTest::SetUp();
    const auto loaded = load_config(config(), {"MODEL.DEVICE", "cpu"});
    experiment = build_experiment(loaded.config, loaded.file, registries);
    torch::manual_seed(1);
    source = build_detector(experiment);
    experiment.config.model.weights = output("weights.safetensors");
    write([](const std::string&) { return true; });
  }

  template <typename Wanted>
  void write(const Wanted& wanted) {
    Checkpoint checkpoint;
    for (const auto& one : state(*source)) {
      if (wanted(one.first)) {
        checkpoint.model.push_back(one);
      }
    }
    save_checkpoint(experiment.config.model.weights, checkpoint);
  }

  std::string refusal() {
    Detector detector = build_detector(experiment);
    try {
      load_initial_weights(detector, experiment);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "nothing was refused";
  }

  // Loads, and expects the file's values but for names that start with `random`, whose values
  // before the loading are expected.
  void expect_loaded_but(const std::string& random) {
    torch::manual_seed(2);
    Detector detector = build_detector(experiment);
    std::map<std::string, torch::Tensor> expected;
    for (const auto& [name, tensor] : state(*source)) {
      expected[name] = tensor;
    }
    for (const auto& [name, tensor] : state(*detector)) {
      if (starts_with(name, random)) {
        expected[name] = tensor.detach().clone();
      }
    }
    load_initial_weights(detector, experiment);
    for (const auto& [name, tensor] : state(*detector)) {
      EXPECT_TRUE(torch::equal(tensor, expected.at(name))) << name;
    }
  }

  Registries registries = builtin_registries();
  Experiment experiment;
  Detector source{nullptr};
};

TEST_F(InitialWeights, OfOtherClassesNeedTheirHeadsReset) {
  experiment.config.model.num_classes += 2;
  experiment = build_experiment(experiment.config, experiment.config_file, registries);
  EXPECT_THAT(refusal(), HasSubstr("MODEL.RESET [head.cls.*]"));
  experiment.config.model.reset = {"head.cls.*"};
  expect_loaded_but("head.cls.");
}

TEST_F(InitialWeights, MayMissWhatIsAllowed) {
  write([](const std::string& name) { return !starts_with(name, "head.box.0."); });
  EXPECT_THAT(refusal(), HasSubstr("head.box.0."));
  experiment.config.model.allow_missing = {"head.box.?.*"};
  expect_loaded_but("head.box.0.");
}

TEST_F(InitialWeights, RefuseAResetOfNothing) {
  experiment.config.model.reset = {"heads.cls.*"};
  EXPECT_THAT(refusal(), HasSubstr("MODEL.RESET: 'heads.cls.*' matches no tensor"));
}

TEST_F(InitialWeights, AreNeededForFineTuning) {
  experiment.config.model.fine_tune = true;
  expect_loaded_but("nothing");
  experiment.config.model.weights.clear();
  EXPECT_THAT(refusal(), HasSubstr("MODEL.FINE_TUNE is true, but MODEL.WEIGHTS names no"));
}

}  // namespace
}  // namespace ssdq
