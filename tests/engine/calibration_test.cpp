#include "ssdq/engine/calibration.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../e2e/shapes_dataset.h"
#include "fake_quantizer.h"
#include "ssdq/engine/defaults.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/engine/weights.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using testing::FakeQuantizer;

using Values = std::map<std::string, torch::Tensor>;

Values copy_of(const State& state) {
  Values copy;
  for (const auto& [name, tensor] : state) {
    copy[name] = tensor.detach().clone();
  }
  return copy;
}

bool of_quantizer(const std::string& name) { return name.find("quantizer") != std::string::npos; }

void expect_equal(const Values& a, const Values& b, bool with_quantizers = true) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    if (with_quantizers || !of_quantizer(name)) {
      EXPECT_TRUE(torch::equal(tensor, b.at(name))) << name;
    }
  }
}

class FakeQuantization : public testing::ShapesTest {
 protected:
  void SetUp() override {
    ShapesTest::SetUp();
    experiment = testing::fake_experiment(config(), output("out"), registries);
    torch::set_num_threads(1);
    torch::manual_seed(1);
  }

  std::unique_ptr<Dataset> train_set() const {
    return open_datasets(experiment, experiment.config.datasets.train, /*training=*/true);
  }

  Detector float_detector() {
    Experiment plain = experiment;
    plain.config.quantization.type = "none";
    return build_detector(plain);
  }

  std::string save(const Detector& detector, const std::string& name) const {
    Checkpoint checkpoint;
    checkpoint.model = state(*detector);
    save_checkpoint(output(name), checkpoint);
    return output(name);
  }

  // The checkpoint after training from seed 1.
  Checkpoint trained() {
    torch::manual_seed(1);
    auto run = build_training(experiment, /*resume=*/false, /*dry_run=*/false);
    run->trainer->train(start_training(*run, experiment), experiment.config.solver.max_iter);
    return load_checkpoint(experiment.config.output_dir + "/model_final.safetensors");
  }

  Registries registries = testing::registries_with_fake();
  Experiment experiment;
};

using Calibration = FakeQuantization;

TEST_F(Calibration, SetsRangesAndLeavesTheRestAsItWas) {
  Detector detector = build_detector(experiment);
  const Values before = copy_of(state(*detector));
  const auto all = quantizers_of(*detector);
  ASSERT_EQ(all.size(), 6U);
  all[0].quantizer->set_mode({true, false});
  calibrate(*detector, experiment, *train_set(), all, 3);
  const Values after = copy_of(state(*detector));
  expect_equal(before, after, /*with_quantizers=*/false);
  for (const auto& one : all) {
    EXPECT_EQ(after.at(one.name + ".observed").item<int64_t>(), 3);
    EXPECT_GT(after.at(one.name + ".largest").item<float>(), 0);
    EXPECT_TRUE(one.quantizer->is_training());
    EXPECT_TRUE(one.quantizer->mode().quantize);
  }
  EXPECT_FALSE(all[0].quantizer->mode().observe);
  EXPECT_TRUE(detector->is_training());
}

TEST_F(Calibration, SeesTheFloatNetworkInEvaluationMode) {
  Detector detector = build_detector(experiment);
  Detector plain = float_detector();
  load_state(*plain, state(*detector));
  calibrate(*detector, experiment, *train_set(), quantizers_of(*detector), 2);
  plain->eval();
  const torch::NoGradGuard no_grad;
  const auto dataset = train_set();
  TrainLoader loader(*dataset, train_loader_options(experiment));
  float largest = 0;
  for (int i = 0; i < 2; ++i) {
    const Batch batch = loader.next();
    const auto& first = plain->convolutions().front().second;
    ConvBlock block = first;  // its output is the input of the first quantized convolution
    largest = std::max(largest, block->forward(images_of(batch, experiment)).max().item<float>());
  }
  for (const auto& one : quantizers_of(*detector)) {
    if (!one.is_weight) {
      EXPECT_FLOAT_EQ(std::static_pointer_cast<FakeQuantizer>(one.quantizer)->largest.item<float>(),
                      largest);
      break;
    }
  }
}

TEST_F(Calibration, TouchesOnlyTheQuantizersAskedFor) {
  Detector detector = build_detector(experiment);
  const auto all = quantizers_of(*detector);
  calibrate(*detector, experiment, *train_set(), {all[1]}, 1);
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& fake = *std::static_pointer_cast<FakeQuantizer>(all[i].quantizer);
    EXPECT_EQ(fake.observed.item<int64_t>(), i == 1 ? 1 : 0);
  }
}

TEST_F(Calibration, PrecedesTrainingAndLeavesItsOrderUnchanged) {
  experiment.config.solver.max_iter = 3;
  experiment.config.datasets.test.clear();
  experiment.config.quantization.start_iter = 100;  // ranges do not matter to the weights
  experiment.config.quantization.calibration_batches = 0;
  const Checkpoint without = trained();
  experiment.config.quantization.calibration_batches = 2;
  experiment.config.output_dir = output("calibrated");
  experiment.config.solver.ema = 0.9;
  {
    const auto run = build_training(experiment, /*resume=*/false, /*dry_run=*/true);
    for (const auto& [name, tensor] : run->ema->state()) {
      if (name.find("largest") != std::string::npos) {
        EXPECT_GT(tensor.item<float>(), 0) << name;
      }
    }
  }
  const Checkpoint with = trained();
  expect_equal(copy_of(without.model), copy_of(with.model), /*with_quantizers=*/false);
  for (const auto& [name, tensor] : with.model) {
    if (name.find("observed") != std::string::npos) {
      EXPECT_EQ(tensor.item<int64_t>(), 5) << name;
    }
  }
}

using BatchNormReestimation = FakeQuantization;

TEST_F(BatchNormReestimation, IsThePlainAverageOverTheBatches) {
  experiment.config.quantization.bn_reestimate_batches = 3;
  Detector detector = build_detector(experiment);
  const auto dataset = train_set();
  calibrate(*detector, experiment, *dataset, quantizers_of(*detector), 1);
  const Values before = copy_of(state(*detector));
  // With momentum 1 the running statistics are those of the last batch.
  Detector naive = build_detector(experiment);
  load_state(*naive, state(*detector));
  naive->train();
  for (const auto& one : quantizers_of(*naive)) {
    one.quantizer->eval();
  }
  for (const auto& bn : batch_norms_of(*naive)) {
    bn->options.momentum(1.0);
  }
  Values sums;
  const torch::NoGradGuard no_grad;
  TrainLoader loader(*dataset, train_loader_options(experiment), 7);
  for (int i = 0; i < 3; ++i) {
    const Batch batch = loader.next();
    naive->forward(images_of(batch, experiment));
    for (const auto& [name, tensor] : state(*naive)) {
      if (name.find("running_") != std::string::npos) {
        sums[name] = sums.count(name) == 0 ? tensor.clone() : sums[name] + tensor;
      }
    }
  }
  reestimate_batch_norm(*detector, experiment, *dataset, 7, 3);
  ASSERT_FALSE(sums.empty());
  for (const auto& [name, tensor] : state(*detector)) {
    if (sums.count(name) > 0) {
      EXPECT_TRUE(torch::allclose(tensor, sums[name] / 3, 1e-5, 1e-6)) << name;
    } else if (name.find("num_batches_tracked") == std::string::npos) {
      EXPECT_TRUE(torch::equal(tensor, before.at(name))) << name;
    }
  }
  for (const auto& bn : batch_norms_of(*detector)) {
    EXPECT_NEAR(bn->options.momentum().value(),
                batch_norms_of(*build_detector(experiment))[0]->options.momentum().value(), 0);
  }
}

TEST_F(BatchNormReestimation, IsOfTheAveragedWeightsInTheFinalCheckpoint) {
  experiment.config.solver.max_iter = 3;
  experiment.config.solver.ema = 0.5;
  experiment.config.datasets.test.clear();
  experiment.config.quantization.bn_reestimate_batches = 2;
  const Checkpoint final = trained();
  Detector detector = build_detector(experiment);
  load_state_strict(*detector, inference_weights(final), "final");
  const Values saved = copy_of(state(*detector));
  reestimate_batch_norm(*detector, experiment, *train_set(), 3, 2);
  expect_equal(saved, copy_of(state(*detector)));
  for (const auto& [name, tensor] : final.model) {
    if (name.find("num_batches_tracked") != std::string::npos) {
      EXPECT_EQ(tensor.item<int64_t>(), 3) << name;
    }
  }
}

using QuantizedWeights = FakeQuantization;

TEST_F(QuantizedWeights, ReportTheRangesThatAFileLacks) {
  const auto float_file = save(float_detector(), "float.safetensors");
  Detector detector = build_detector(experiment);
  const auto missing = load_weights(detector, float_file).missing_tensors;
  EXPECT_EQ(owners_of(*detector, missing).size(), quantizers_of(*detector).size());
  const auto file = save(detector, "quantized.safetensors");
  EXPECT_THAT(load_weights(detector, file).missing_tensors, ::testing::IsEmpty());
}

TEST_F(QuantizedWeights, AreRefusedByAFloatDetectorInPlainWords) {
  const auto file = save(build_detector(experiment), "quantized.safetensors");
  Detector detector = float_detector();
  try {
    load_weights(detector, file);
    FAIL() << "expected Error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("holds a quantized model (24 tensors of "
                                                   "quantizers), but QUANTIZATION.TYPE is none"));
  }
}

TEST_F(QuantizedWeights, OfAFloatFileAreCalibratedForEvaluation) {
  experiment.config.model.weights = save(float_detector(), "float.safetensors");
  experiment.config.quantization.calibration_batches = 2;
  Detector detector = build_detector(experiment);
  load_for_evaluation(detector, experiment, {{"MODEL.WEIGHTS", "command line"}});
  for (const auto& one : quantizers_of(*detector)) {
    EXPECT_EQ(std::static_pointer_cast<FakeQuantizer>(one.quantizer)->observed.item<int64_t>(), 2);
  }
  experiment.config.quantization.calibration_batches = 0;
  EXPECT_THROW(load_for_evaluation(detector, experiment, {{"MODEL.WEIGHTS", "command line"}}),
               ConfigError);
}

using QuantizedTraining = FakeQuantization;

TEST_F(QuantizedTraining, ResumesBitForBitWhereWidthsChange) {
  experiment.config.solver.max_iter = 6;
  experiment.config.solver.checkpoint_period = 3;
  experiment.config.datasets.test.clear();
  experiment.config.quantization.progressive = {{0, 8, 8}, {3, 6, 6}, {5, 4, 4}};
  const Checkpoint whole = trained();
  std::filesystem::remove(output("out/model_final.safetensors"));
  auto run = build_training(experiment, /*resume=*/true, /*dry_run=*/false);
  const int64_t start = resume_training(*run, experiment);
  ASSERT_EQ(start, 3);
  run->trainer->train(start, 6);
  const auto resumed = load_checkpoint(output("out/model_final.safetensors"));
  expect_equal(copy_of(whole.model), copy_of(resumed.model));
  expect_equal(copy_of(whole.optimizer), copy_of(resumed.optimizer));
}

}  // namespace
}  // namespace ssdq
