#include "ssdq/engine/taylor.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../e2e/shapes_dataset.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/taylor.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class TaylorScores : public testing::ShapesTest {
 protected:
  void SetUp() override {
    ShapesTest::SetUp();
    const auto loaded = load_config(config(), {"MODEL.DEVICE", "cpu", "SEED", "4"});
    experiment = build_experiment(loaded.config, loaded.file, registries);
    units = channel_units(experiment.graph);
    groups = groups_in_scope(experiment.graph, units, PruneScope::kNormal);
    torch::set_num_threads(1);
    torch::manual_seed(1);
    detector = build_detector(experiment);
  }

  std::vector<double> scores(int batches) {
    return taylor_scores(detector, experiment, units, groups, batches);
  }

  Registries registries = builtin_registries();
  Experiment experiment;
  ChannelUnits units;
  std::vector<ChannelGroup> groups;
  Detector detector{nullptr};
};

TEST_F(TaylorScores, AreThoseOfTheFirstBatchesOfTrainingInEvaluationMode) {
  const auto found = scores(2);
  detector->eval();
  const auto dataset = open_datasets(experiment, experiment.config.datasets.train, true);
  TrainLoader loader(*dataset, train_loader_options(experiment));
  TaylorImportance importance(*detector, units, groups);
  for (int i = 0; i < 2; ++i) {
    const Batch batch = loader.next();
    detector->zero_grad();
    const auto loss =
        detection_loss(detector->forward(images_of(batch, experiment)), batch, experiment);
    (loss.classification + loss.localization).backward();
    importance.add();
  }
  EXPECT_EQ(found, importance.scores());
}

TEST_F(TaylorScores, FollowTheSeed) {
  const auto once = scores(2);
  EXPECT_EQ(once, scores(2));
  EXPECT_NE(once, scores(1));
  experiment.config.seed = 5;
  EXPECT_NE(once, scores(2));
}

TEST_F(TaylorScores, LeaveTheDetectorAsItWas) {
  const torch::NoGradGuard no_grad;  // of the caller
  detector->train();
  batch_norms_of(*detector)[1]->eval();
  auto parameters = detector->parameters();
  parameters[0].mutable_grad() = torch::full_like(parameters[0], 3);
  parameters[1].set_requires_grad(false);
  std::vector<torch::Tensor> before;
  for (const auto& one : state(*detector)) before.push_back(one.second.clone());
  scores(1);
  EXPECT_TRUE(detector->is_training());
  for (const auto& module : detector->modules()) {
    EXPECT_EQ(module->is_training(), module != batch_norms_of(*detector)[1]);
  }
  EXPECT_TRUE(torch::equal(parameters[0].grad(), torch::full_like(parameters[0], 3)));
  EXPECT_FALSE(parameters[1].requires_grad());
  for (size_t i = 1; i < parameters.size(); ++i) {
    EXPECT_FALSE(parameters[i].grad().defined());
  }
  const auto after = state(*detector);
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(torch::equal(before[i], after[i].second)) << after[i].first;
  }
}

TEST_F(TaylorScores, NeedTrainingImages) {
  EXPECT_THROW(scores(0), ConfigError);
  experiment.config.datasets.train.clear();
  EXPECT_THROW(scores(1), ConfigError);
}

}  // namespace
}  // namespace ssdq
