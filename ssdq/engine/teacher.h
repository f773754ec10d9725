#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "ssdq/engine/experiment.h"

namespace ssdq {

// Terms of a loss by name, in the order in which they are added and reported.
using LossTerms = std::vector<std::pair<std::string, torch::Tensor>>;

// The trained detector of section DISTILLATION, which a student imitates: in evaluation mode,
// without gradients, on the student's device and in its precision (SOLVER.BF16), always with the
// values that it was loaded with. It may be quantized. It belongs to no checkpoint.
class Teacher {
 public:
  // Builds the detector of CONFIG_FILE and loads WEIGHTS, or its MODEL.WEIGHTS; the paths are found
  // as MODEL.WEIGHTS is. torch's generator is left as it was. `class_names` are those that the
  // student learns. `student` must outlive the teacher.
  //
  // Throws ConfigError when a file is missing, or when the teacher has other classes, scores,
  // images (size, channels, mean, standard deviation), variances or default boxes. The boxes of the
  // student may be the first levels of the teacher's.
  Teacher(const Experiment& student, const std::vector<std::string>& class_names);

  // Whether losses() asks for the student's features.
  bool uses_features() const { return settings().features > 0; }

  // Those of layers/distillation_loss.h whose weight is not 0, times it: distillation_logits,
  // distillation_boxes, distillation_features. Of the student's raw outputs and features for
  // `images` [N, 3, H, W], and of `labels` [N, P], all on its device. Of a rank, whose batch is a
  // part of one with `all_positives` priors with an object, its part of the whole batch's.
  LossTerms losses(const torch::Tensor& images, const torch::Tensor& labels,
                   const DetectorOutput& output, const std::vector<torch::Tensor>& features,
                   std::optional<int64_t> all_positives = {});

 private:
  const DistillationConfig& settings() const { return student_.config.distillation; }

  const Experiment& student_;
  Detector detector_{nullptr};
};

// Makes paths of DISTILLATION absolute where they are found beside `config_file` and not as given,
// so that a configuration written to another folder names the same teacher.
void anchor_teacher(DistillationConfig& distillation, const std::string& config_file);

}  // namespace ssdq
