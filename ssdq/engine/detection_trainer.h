#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <torch/optim/optimizer.h>

#include "ssdq/data/loader.h"
#include "ssdq/distributed/gradient_reducer.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/teacher.h"
#include "ssdq/engine/trainer.h"
#include "ssdq/layers/multibox_loss.h"

namespace ssdq {

// One step of SSD training: batch, forward, multibox loss and that of a teacher, backward,
// optimizer. Quantization lives in the detector's modules and pruning in hooks; the step knows
// neither. The ranks of the experiment make one step of all their images together, and report and
// stop as one.
class DetectionTrainer : public Trainer {
 public:
  // The input pipeline is made when the first iteration is known.
  void set_loader(std::unique_ptr<TrainLoader> loader) { loader_ = std::move(loader); }

  // Its losses are added to the multibox loss. Null: none.
  void set_teacher(std::unique_ptr<Teacher> teacher) { teacher_ = std::move(teacher); }

  // `detector` and `optimizer` are shared with the hooks.
  DetectionTrainer(const Experiment& experiment, Detector detector,
                   std::shared_ptr<torch::optim::Optimizer> optimizer);

  Detector& detector() { return detector_; }
  torch::optim::Optimizer& optimizer() { return *optimizer_; }
  const Experiment& experiment() const { return experiment_; }

 protected:
  void prepare_step() override;  // training mode
  void run_step() override;
  bool stops() const override;

 private:
  using Values = std::vector<std::pair<std::string, double>>;

  // Priors with an object on all ranks; nothing without ranks.
  std::optional<int64_t> all_positives(const Batch& batch) const;
  // Adds up the terms of all ranks, and finds out whether one of them was asked to stop.
  void share(Values& values);
  void report(const Values& values, const Batch& batch);
  void backward(const torch::Tensor& loss);
  // Also the features, when the teacher asks for them.
  DetectorOutput forward(const torch::Tensor& images, std::vector<torch::Tensor>& features);
  LossTerms losses(const Batch& batch, std::optional<int64_t> positives);

  const Experiment& experiment_;
  Detector detector_;
  std::shared_ptr<torch::optim::Optimizer> optimizer_;
  std::unique_ptr<TrainLoader> loader_;
  std::unique_ptr<Teacher> teacher_;
  std::unique_ptr<GradientReducer> reducer_;
  bool all_stop_ = false;
};

// The batch's images as [N, 3, H, W] on the experiment's device, channels-last in memory as the
// pipeline lays them out unless SOLVER.CHANNELS_LAST is off. The tensor may alias the batch.
torch::Tensor images_of(const Batch& batch, const Experiment& experiment);

// Of a training batch and the detector's raw outputs for it; `divisor` as of multibox_loss.
MultiBoxLoss detection_loss(const DetectorOutput& output, const Batch& batch,
                            const Experiment& experiment, std::optional<int64_t> divisor = {});

}  // namespace ssdq
