#include "ssdq/engine/teacher.h"

#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "../e2e/shapes_dataset.h"
#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/defaults.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/engine/weights.h"
#include "ssdq/layers/distillation_loss.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Strings = std::vector<std::string>;

// A teacher with random weights: teacher.yaml and teacher.safetensors beside shapes.yaml.
class TeacherTest : public testing::ShapesTest {
 protected:
  void SetUp() override {
    ShapesTest::SetUp();
    torch::set_num_threads(1);
    write("teacher.yaml", "_BASE_: shapes.yaml\nMODEL: {WEIGHTS: teacher.safetensors}\n");
    save_weights("teacher.yaml", 11);
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(dir / name) << text;
  }

  void save_weights(const std::string& yaml, uint64_t seed, const std::string& classes = "") {
    const auto teacher = experiment(yaml);
    torch::manual_seed(seed);
    Checkpoint checkpoint;
    checkpoint.model = state(*build_detector(teacher));
    if (!classes.empty()) {
      checkpoint.extra["class_names"] = classes;
    }
    save_checkpoint(output("teacher.safetensors"), checkpoint);
  }

  // One level of the shapes' two.
  void write_one_level(const std::string& yaml, const std::string& rest) const {
    std::ostringstream cfg;
    cfg << std::ifstream(dir / "shapes.cfg").rdbuf();
    write("one.cfg", cfg.str().substr(0, cfg.str().rfind("[convolutional]")));
    write(yaml,
          "_BASE_: shapes.yaml\nMODEL:\n  BACKBONE: {CFG: one.cfg}\n  PRIORS: {STRIDES: [8], "
          "MIN_SIZES: [16], MAX_SIZES: [32], ASPECT_RATIOS: [[2]], BOXES_PER_LOCATION: [4]}\n" +
              rest);
  }

  void remove_batch_norm() const {
    std::ostringstream cfg;
    cfg << std::ifstream(dir / "shapes.cfg").rdbuf();
    std::string text = cfg.str();
    const std::string line = "batch_normalize=1\n";
    for (size_t at = text.find(line); at != std::string::npos; at = text.find(line)) {
      text.erase(at, line.size());
    }
    write("shapes.cfg", text);
  }

  Experiment experiment(const std::string& yaml, const Strings& overrides = {}) {
    Strings all{"MODEL.DEVICE", "cpu", "DATASETS.TEST", "[]", "DATA_LOADER.NUM_WORKERS", "0"};
    all.insert(all.end(), overrides.begin(), overrides.end());
    const auto loaded = load_config(output(yaml), all);
    return build_experiment(loaded.config, loaded.file, registries);
  }

  Experiment student(const Strings& overrides = {}) {
    Strings all{"DISTILLATION.CONFIG_FILE", "teacher.yaml", "DISTILLATION.FEATURES", "2"};
    all.insert(all.end(), overrides.begin(), overrides.end());
    return experiment("shapes.yaml", all);
  }

  static std::string refusal(const Experiment& experiment) {
    try {
      const Teacher teacher(experiment, {"box", "disc"});
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "nothing was refused";
  }

  static std::unique_ptr<TrainingRun> prepared(const Experiment& experiment, bool dry_run = true) {
    torch::manual_seed(3);
    return build_training(experiment, /*resume=*/false, dry_run);
  }

  static double event(TrainingRun& run, const std::string& name) {
    return run.trainer->events().latest(name).value_or(-1);
  }

  // "loss" and its terms, after `steps` of training.
  static std::unique_ptr<TrainingRun> trained(const Experiment& experiment, int64_t steps) {
    auto run = prepared(experiment);
    run->trainer->train(start_training(*run, experiment), steps);
    return run;
  }

  Registries registries = builtin_registries();
};

TEST_F(TeacherTest, ItsTermsOfTheLossAreThoseComputedFromBothNetworks) {
  const auto experiment = student({"DISTILLATION.LOGITS", "0.5", "DISTILLATION.BOXES", "3"});
  const auto run = prepared(experiment);
  Detector teacher = build_detector(experiment);
  load_weights(teacher, output("teacher.safetensors"));
  teacher->eval();
  TrainLoader loader(*run->dataset, train_loader_options(experiment));
  Batch batch = loader.next();
  const auto images = images_of(batch, experiment);
  const auto labels =
      torch::from_blob(batch.labels.data(), {batch.size, batch.num_priors}, torch::kInt64);
  std::vector<torch::Tensor> features, target_features;
  run->detector->train();
  const auto output = run->detector->forward_with_features(images, features);
  const auto target = teacher->forward_with_features(images, target_features);
  ASSERT_EQ(features.size(), 2U);
  const double logits = 0.5 * logit_distillation(output.class_logits, target.class_logits, labels,
                                                 3, 2, ScoreFunction::kSoftmax)
                                  .item<double>();
  const double boxes =
      3 * box_distillation(output.box_regression, target.box_regression, labels).item<double>();
  const double attention = 2 * attention_distillation(features, target_features).item<double>();

  run->trainer->train(start_training(*run, experiment), 1);
  EXPECT_GT(logits * boxes * attention, 0);
  EXPECT_NEAR(event(*run, "loss/distillation_logits"), logits, 1e-5 * logits);
  EXPECT_NEAR(event(*run, "loss/distillation_boxes"), boxes, 1e-5 * boxes);
  EXPECT_NEAR(event(*run, "loss/distillation_features"), attention, 1e-5 * attention);
  EXPECT_NEAR(event(*run, "loss"),
              event(*run, "loss/classification") + event(*run, "loss/localization") + logits +
                  boxes + attention,
              1e-4);
}

TEST_F(TeacherTest, FeaturesAreWhatTheHeadsLookAt) {
  auto experiment = student();
  Detector detector = build_detector(experiment);
  detector->eval();
  const torch::NoGradGuard no_grad;
  const auto images = torch::randn({2, 3, 96, 96});
  std::vector<torch::Tensor> features;
  const auto output = detector->forward_with_features(images, features);
  EXPECT_TRUE(torch::equal(output.class_logits, detector->forward(images).class_logits));
  torch::Tensor first_level;
  for (const auto& [name, block] : detector->convolutions()) {
    if (name == "head.cls.0") {
      first_level = ConvBlock(block)->forward(features[0]);
    }
  }
  EXPECT_TRUE(torch::allclose(first_level.permute({0, 2, 3, 1}).reshape({2, -1, 3}),
                              output.class_logits.slice(1, 0, 12 * 12 * 4)));
}

TEST_F(TeacherTest, AStudentThatEqualsItHasNothingToLearnFromIt) {
  remove_batch_norm();
  save_weights("teacher.yaml", 12);
  const auto run = trained(student({"MODEL.WEIGHTS", "teacher.safetensors"}), 1);
  EXPECT_GT(event(*run, "loss/classification"), 0);
  for (const char* name : {"logits", "boxes", "features"}) {
    EXPECT_EQ(event(*run, std::string("loss/distillation_") + name), 0) << name;
  }
  EXPECT_EQ(event(*run, "loss"),
            event(*run, "loss/classification") + event(*run, "loss/localization"));
}

TEST_F(TeacherTest, ChangesTheStepsAndNoRandomNumber) {
  for (const int64_t steps : {1, 2}) {
    const auto alone = trained(experiment("shapes.yaml"), steps);
    const auto taught = trained(student(), steps);
    EXPECT_EQ(event(*alone, "loss/distillation_logits"), -1);
    EXPECT_EQ(event(*alone, "loss/classification") == event(*taught, "loss/classification"),
              steps == 1);
  }
}

TEST_F(TeacherTest, OnlyTermsWithAWeightAreComputed) {
  const auto run = trained(student({"DISTILLATION.FEATURES", "0", "DISTILLATION.BOXES", "0"}), 1);
  EXPECT_GT(event(*run, "loss/distillation_logits"), 0);
  EXPECT_EQ(event(*run, "loss/distillation_boxes"), -1);
  EXPECT_EQ(event(*run, "loss/distillation_features"), -1);
}

TEST_F(TeacherTest, ResumesToTheSameBitsWithoutBeingInTheCheckpoint) {
  const Strings common{"SOLVER.EMA", "0.9", "SOLVER.CHECKPOINT_PERIOD", "2", "OUTPUT_DIR"};
  const auto with_output = [&](const std::string& folder) {
    Strings all = common;
    all.push_back(output(folder));
    return student(all);
  };
  const auto experiment = with_output("whole");
  const auto whole = prepared(experiment, /*dry_run=*/false);
  whole->trainer->train(start_training(*whole, experiment), 4);
  for (const auto& [name, tensor] :
       load_checkpoint(output("whole/model_0000002.safetensors")).model) {
    EXPECT_THAT(name, ::testing::Not(HasSubstr("teacher")));
  }

  fs::create_directories(dir / "cut");
  fs::copy(dir / "whole/model_0000002.safetensors", dir / "cut/model_0000002.safetensors");
  const auto again = with_output("cut");
  const auto resumed = build_training(again, /*resume=*/true, /*dry_run=*/false);
  resumed->trainer->train(resume_training(*resumed, again), 4);
  EXPECT_EQ(event(*whole, "loss"), event(*resumed, "loss"));
  const State expected = state(*whole->detector), actual = state(*resumed->detector);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(torch::equal(actual[i].second, expected[i].second)) << expected[i].first;
  }
}

TEST_F(TeacherTest, MayHaveMoreLevelsThanTheStudent) {
  write_one_level("one.yaml",
                  "DISTILLATION: {CONFIG_FILE: teacher.yaml, LOGITS: 1, BOXES: 1, FEATURES: 1}\n");
  const auto one = experiment("one.yaml");
  const int64_t count = 12 * 12 * 4;
  ASSERT_EQ(one.priors.size(), static_cast<size_t>(count));
  Teacher teacher(one, {});
  const auto two = student();
  Detector network = build_detector(two);
  load_weights(network, output("teacher.safetensors"));
  network->eval();
  const torch::NoGradGuard no_grad;
  const auto images = torch::randn({2, 3, 96, 96});
  const auto labels = (torch::rand({2, count}) < 0.1).to(torch::kInt64);
  std::vector<torch::Tensor> features;
  auto same = network->forward_with_features(images, features);
  same.class_logits = same.class_logits.slice(1, 0, count);
  same.box_regression = same.box_regression.slice(1, 0, count);
  features.resize(1);
  const auto terms = teacher.losses(images, labels, same, features);
  ASSERT_EQ(terms.size(), 3U);
  for (const auto& [name, term] : terms) {
    EXPECT_EQ(term.item<float>(), 0) << name;
  }
}

TEST_F(TeacherTest, OfFewerLevelsIsRefused) {
  write_one_level("one.yaml", "");
  EXPECT_THAT(
      refusal(student({"DISTILLATION.CONFIG_FILE", "one.yaml"})),
      HasSubstr("level 1 of " + output("one.yaml") + " is missing, but the student's is 6"));
}

TEST_F(TeacherTest, OfAnotherTaskIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"MODEL: {NUM_CLASSES: 5}", "has MODEL.NUM_CLASSES 5, but the student has 3"},
      {"MODEL: {CENTER_VARIANCE: 0.2}", "has MODEL.CENTER_VARIANCE 0.2, but the student has 0.1"},
      {"MODEL: {BOX_HEAD: {SCORES: sigmoid}}",
       "has MODEL.BOX_HEAD.SCORES sigmoid, but the student has softmax"},
      {"INPUT: {IMAGE_SIZE: 128}", "has INPUT.IMAGE_SIZE 128 x 128, but the student has 96 x 96"},
      {"INPUT: {PIXEL_MEAN: [1, 2, 3]}",
       "has INPUT.PIXEL_MEAN [1, 2, 3], but the student has [123, 117, 104]"},
      {"INPUT: {PIXEL_STD: [2, 2, 2]}", "has INPUT.PIXEL_STD [2, 2, 2], but the student has [1"},
      {"MODEL: {PRIORS: {MIN_SIZES: [16, 33]}}", "default box 576 of"},
      {"SOLVER: {LR: fast}", "SOLVER.LR"},
      {"MODEL: {WEIGHTS: gone.safetensors}", "no file 'gone.safetensors'"},
      {"MODEL: {WEIGHTS: .}", "is not set, nor is MODEL.WEIGHTS of"},
  };
  for (const auto& [yaml, sentence] : cases) {
    write("other.yaml", "_BASE_: teacher.yaml\n" + yaml + "\n");
    const auto message = refusal(student({"DISTILLATION.CONFIG_FILE", "other.yaml"}));
    EXPECT_THAT(message, HasSubstr("DISTILLATION.")) << yaml;
    EXPECT_THAT(message, HasSubstr(sentence)) << yaml;
    EXPECT_THAT(message, ::testing::Not(HasSubstr("\n"))) << yaml;
  }
  EXPECT_THAT(refusal(student({"DISTILLATION.CONFIG_FILE", "gone.yaml"})),
              HasSubstr("DISTILLATION.CONFIG_FILE: no file 'gone.yaml'; tried"));
  EXPECT_THAT(refusal(student({"DISTILLATION.WEIGHTS", "gone.safetensors"})),
              HasSubstr("DISTILLATION.WEIGHTS: no file 'gone.safetensors'; tried"));
  save_weights("teacher.yaml", 11, "disc\nbox");
  EXPECT_THAT(refusal(student()),
              HasSubstr("knows the classes [disc, box], but the student learns [box, disc]"));
}

TEST_F(TeacherTest, MayBeQuantized) {
  write("quantized.yaml",
        "_BASE_: teacher.yaml\nMODEL: {WEIGHTS: .}\nQUANTIZATION: {TYPE: lsq, WBITS: 4, ABITS: 4, "
        "CALIBRATION_BATCHES: 1}\n");
  // Ranges of a float checkpoint come from training images.
  const auto run = trained(student({"DISTILLATION.CONFIG_FILE", "quantized.yaml",
                                    "DISTILLATION.WEIGHTS", "teacher.safetensors"}),
                           1);
  const auto with_float = trained(student(), 1);
  EXPECT_EQ(event(*run, "loss/classification"), event(*with_float, "loss/classification"));
  EXPECT_NE(event(*run, "loss/distillation_logits"),
            event(*with_float, "loss/distillation_logits"));
}

TEST_F(TeacherTest, ThatIsNotFiniteStopsTraining) {
  Checkpoint checkpoint = load_checkpoint(output("teacher.safetensors"));
  for (auto& [name, tensor] : checkpoint.model) {
    if (name == "head.cls.0.bias") {
      tensor.fill_(std::numeric_limits<float>::quiet_NaN());
    }
  }
  save_checkpoint(output("teacher.safetensors"), checkpoint);
  const auto experiment = student();
  const auto run = prepared(experiment);
  try {
    run->trainer->train(start_training(*run, experiment), 1);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the loss is not finite at iteration 0 (classification "));
    EXPECT_THAT(error.what(), HasSubstr(", distillation_logits nan, "));
  }
}

TEST_F(TeacherTest, IsFoundFromAConfigurationWrittenElsewhere) {
  DistillationConfig settings = student().config.distillation;
  settings.weights = "gone.safetensors";
  anchor_teacher(settings, config());
  EXPECT_EQ(settings.config_file, output("teacher.yaml"));
  EXPECT_EQ(settings.weights, "gone.safetensors");
}

}  // namespace
}  // namespace ssdq
