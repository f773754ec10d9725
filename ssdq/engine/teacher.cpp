#include "ssdq/engine/teacher.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/config/reader.h"
#include "ssdq/config/validate.h"
#include "ssdq/detection/candidates.h"
#include "ssdq/engine/weights.h"
#include "ssdq/layers/autocast.h"
#include "ssdq/layers/distillation_loss.h"
#include "ssdq/layers/multibox_loss.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigKey = "DISTILLATION.CONFIG_FILE";
constexpr const char* kWeightsKey = "DISTILLATION.WEIGHTS";

// What `action` returns; a ConfigError gets the key that is to blame.
template <typename Action>
auto blaming(const std::string& key, const Action& action) {
  try {
    return action();
  } catch (const ConfigError& error) {
    throw ConfigError(key + ": " + error.what());
  }
}

// torch's generator as it was before.
class GeneratorScope {
 public:
  GeneratorScope() : state_(rng_state()) {}
  ~GeneratorScope() { set_rng_state(state_); }
  GeneratorScope(const GeneratorScope&) = delete;
  GeneratorScope& operator=(const GeneratorScope&) = delete;

 private:
  torch::Tensor state_;
};

// On the device and in the memory layout of the student.
Experiment teacher_experiment(const Experiment& student) {
  Registries& registries = *student.registries;
  auto loaded =
      load_config(resolve_path(student.config.distillation.config_file, student.config_file));
  validate(loaded.config, loaded.origins, known_names(registries));
  loaded.config.model.device = student.config.model.device;
  loaded.config.solver.channels_last = student.config.solver.channels_last;
  auto experiment = build_experiment(loaded.config, loaded.file, registries);
  experiment.device = student.device;
  return experiment;
}

std::string text(Size2 size) { return fmt::format("{} x {}", size.height, size.width); }

template <typename T>
void same(const char* key, const std::string& file, const T& teacher, const T& student) {
  SSDQ_CHECK_CONFIG(teacher == student,
                    "{}: {} has {} {}, but the student has {}; expected a teacher of the same "
                    "classes, images and default boxes",
                    kConfigKey, file, key, teacher, student);
}

void same_task(const Experiment& teacher, const Experiment& student) {
  const ModelConfig &theirs = teacher.config.model, &ours = student.config.model;
  const InputConfig &their_input = teacher.config.input, &our_input = student.config.input;
  const std::string& file = teacher.config_file;
  same("MODEL.NUM_CLASSES", file, theirs.num_classes, ours.num_classes);
  same("MODEL.BOX_HEAD.SCORES", file, theirs.box_head.scores, ours.box_head.scores);
  same("MODEL.CENTER_VARIANCE", file, theirs.center_variance, ours.center_variance);
  same("MODEL.SIZE_VARIANCE", file, theirs.size_variance, ours.size_variance);
  same("INPUT.IMAGE_SIZE", file, text(their_input.image_size), text(our_input.image_size));
  same("INPUT.CHANNELS", file, their_input.channels, our_input.channels);
  same("INPUT.PIXEL_MEAN", file, their_input.pixel_mean, our_input.pixel_mean);
  same("INPUT.PIXEL_STD", file, their_input.pixel_std, our_input.pixel_std);
}

// The student's levels are the teacher's first ones.
void same_boxes(const Experiment& teacher, const Experiment& student) {
  const auto &theirs = teacher.feature_maps, &ours = student.feature_maps;
  for (size_t level = 0; level < ours.size(); ++level) {
    SSDQ_CHECK_CONFIG(level < theirs.size() && theirs[level] == ours[level],
                      "{}: level {} of {} is {}, but the student's is {}; expected a teacher whose "
                      "first levels have the student's feature maps",
                      kConfigKey, level, teacher.config_file,
                      level < theirs.size() ? text(theirs[level]) : "missing", text(ours[level]));
  }
  const auto equal = [](const CenterBox& a, const CenterBox& b) {
    return a.cx == b.cx && a.cy == b.cy && a.w == b.w && a.h == b.h;
  };
  const auto differing = std::mismatch(student.priors.begin(), student.priors.end(),
                                       teacher.priors.begin(), teacher.priors.end(), equal);
  SSDQ_CHECK_CONFIG(differing.first == student.priors.end(),
                    "{}: default box {} of {} is not the student's; expected a teacher with the "
                    "same MODEL.PRIORS",
                    kConfigKey, differing.first - student.priors.begin(), teacher.config_file);
}

std::string weights_of(const Experiment& teacher, const Experiment& student) {
  if (const auto& given = student.config.distillation.weights; !given.empty()) {
    return blaming(kWeightsKey, [&] { return resolve_path(given, student.config_file); });
  }
  SSDQ_CHECK_CONFIG(!teacher.config.model.weights.empty(),
                    "{}: it is not set, nor is MODEL.WEIGHTS of {}; expected the checkpoint of the "
                    "trained teacher",
                    kWeightsKey, teacher.config_file);
  const auto key = fmt::format("{}: MODEL.WEIGHTS of {}", kConfigKey, teacher.config_file);
  return blaming(key,
                 [&] { return resolve_path(teacher.config.model.weights, teacher.config_file); });
}

void same_classes(const std::string& path, const std::vector<std::string>& ours) {
  const auto theirs = class_names(inspect_checkpoint(path));
  SSDQ_CHECK_CONFIG(theirs.empty() || ours.empty() || theirs == ours,
                    "{}: {} knows the classes [{}], but the student learns [{}]; expected the same "
                    "ones in the same order",
                    kWeightsKey, path, join(theirs, ", "), join(ours, ", "));
}

}  // namespace

Teacher::Teacher(const Experiment& student, const std::vector<std::string>& class_names)
    : student_(student) {
  const GeneratorScope generator;
  const auto experiment = blaming(kConfigKey, [&] { return teacher_experiment(student); });
  same_task(experiment, student);
  same_boxes(experiment, student);
  const std::string path = weights_of(experiment, student);
  same_classes(path, class_names);
  detector_ = build_detector(experiment);
  load_weights_and_ranges(detector_, experiment, path);
  detector_->eval();
  for (auto& parameter : detector_->parameters()) {
    parameter.set_requires_grad(false);
  }
  log_info("teacher: {} with {}, {} parameters", experiment.config_file, path,
           count_parameters(*detector_));
}

LossTerms Teacher::losses(const torch::Tensor& images, const torch::Tensor& labels,
                          const DetectorOutput& output, const std::vector<torch::Tensor>& features,
                          std::optional<int64_t> all_positives) {
  const DistillationConfig& weights = settings();
  double of_positives = 1, of_images = 1;
  if (all_positives) {
    const auto own = std::max<int64_t>(count_positives(labels).item<int64_t>(), 1);
    of_positives =
        static_cast<double>(own) / static_cast<double>(std::max<int64_t>(*all_positives, 1));
    of_images = 1.0 / student_.world.size;
  }
  DetectorOutput target;
  std::vector<torch::Tensor> target_features;
  {
    const torch::NoGradGuard no_grad;
    const Bf16Autocast autocast(student_.device, student_.config.solver.bf16);
    target = uses_features() ? detector_->forward_with_features(images, target_features)
                             : detector_->forward(images);
  }
  const auto count = output.class_logits.size(1);
  LossTerms terms;
  if (weights.logits > 0) {
    const ModelConfig& model = student_.config.model;
    const auto loss = logit_distillation(
        output.class_logits, target.class_logits.slice(1, 0, count), labels, model.neg_pos_ratio,
        weights.temperature, score_function(model.box_head));
    terms.emplace_back("distillation_logits", loss * (weights.logits * of_positives));
  }
  if (weights.boxes > 0) {
    const auto loss =
        box_distillation(output.box_regression, target.box_regression.slice(1, 0, count), labels);
    terms.emplace_back("distillation_boxes", loss * (weights.boxes * of_positives));
  }
  if (weights.features > 0) {
    target_features.resize(features.size());  // the student's levels are the first ones
    terms.emplace_back("distillation_features", attention_distillation(features, target_features) *
                                                    (weights.features * of_images));
  }
  return terms;
}

void anchor_teacher(DistillationConfig& distillation, const std::string& config_file) {
  for (std::string* path : {&distillation.config_file, &distillation.weights}) {
    if (path->empty() || fs::exists(*path)) {
      continue;
    }
    try {
      *path = fs::absolute(resolve_path(*path, config_file)).lexically_normal().string();
    } catch (const ConfigError&) {
      // Whoever needs the file will say that it is missing.
    }
  }
}

}  // namespace ssdq
