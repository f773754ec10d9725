#include "ssdq/engine/detection_trainer.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include "ssdq/detection/candidates.h"
#include "ssdq/layers/autocast.h"
#include "ssdq/solver/optimizer.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/timer.h"

namespace ssdq {
namespace {

// A copy on `device`; on a GPU through page-locked memory when `pin`.
torch::Tensor to_device(const torch::Tensor& tensor, torch::Device device, bool pin) {
  return device.is_cuda() && pin ? tensor.pin_memory().to(device, /*non_blocking=*/true)
                                 : tensor.to(device);
}

torch::Tensor labels_of(const Batch& batch) {
  // from_blob takes no const; the tensors are only read.
  auto* data = const_cast<int64_t*>(batch.labels.data());
  return torch::from_blob(data, {batch.size, batch.num_priors}, torch::kInt64);
}

torch::Tensor locations_of(const Batch& batch) {
  auto* data = const_cast<float*>(batch.locations.data());
  return torch::from_blob(data, {batch.size, batch.num_priors, 4}, torch::kFloat32);
}

std::string described(const std::vector<std::pair<std::string, double>>& values) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : values) {
    parts.push_back(fmt::format("{} {}", name, value));
  }
  return join(parts, ", ");
}

}  // namespace

torch::Tensor images_of(const Batch& batch, const Experiment& experiment) {
  auto* data = const_cast<float*>(batch.images.data());
  const auto nhwc = torch::from_blob(
      data, {batch.size, batch.image_size.height, batch.image_size.width, 3}, torch::kFloat32);
  const auto images = to_device(nhwc, experiment.device, experiment.config.data_loader.pin_memory)
                          .permute({0, 3, 1, 2});
  return use_channels_last(experiment) ? images : images.contiguous();
}

DetectionTrainer::DetectionTrainer(const Experiment& experiment, Detector detector,
                                   std::shared_ptr<torch::optim::Optimizer> optimizer)
    : experiment_(experiment), detector_(std::move(detector)), optimizer_(std::move(optimizer)) {}

MultiBoxLoss detection_loss(const DetectorOutput& output, const Batch& batch,
                            const Experiment& experiment) {
  const bool pin = experiment.config.data_loader.pin_memory;
  return multibox_loss(output.class_logits, output.box_regression,
                       to_device(labels_of(batch), experiment.device, pin),
                       to_device(locations_of(batch), experiment.device, pin),
                       experiment.config.model.neg_pos_ratio,
                       score_function(experiment.config.model.box_head));
}

DetectorOutput DetectionTrainer::forward(const torch::Tensor& images,
                                         std::vector<torch::Tensor>& features) {
  const Bf16Autocast autocast(experiment_.device, experiment_.config.solver.bf16);
  return teacher_ && teacher_->uses_features() ? detector_->forward_with_features(images, features)
                                               : detector_->forward(images);
}

LossTerms DetectionTrainer::losses(const Batch& batch) {
  const torch::Tensor images = images_of(batch, experiment_);
  std::vector<torch::Tensor> features;
  const DetectorOutput output = forward(images, features);
  const MultiBoxLoss loss = detection_loss(output, batch, experiment_);
  LossTerms terms{{"classification", loss.classification}, {"localization", loss.localization}};
  if (teacher_) {
    const auto labels =
        to_device(labels_of(batch), experiment_.device, experiment_.config.data_loader.pin_memory);
    for (auto& term : teacher_->losses(images, labels, output, features)) {
      terms.push_back(std::move(term));
    }
  }
  return terms;
}

void DetectionTrainer::prepare_step() { detector_->train(); }

void DetectionTrainer::run_step() {
  const Timer data_clock;
  Batch batch = loader_->next();
  events().put("data_time", data_clock.seconds());

  torch::Tensor total;
  double sum = 0;
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [name, term] : losses(batch)) {
    total = total.defined() ? total + term : term;
    values.emplace_back(name, term.item<double>());
    sum += values.back().second;
  }
  SSDQ_CHECK(std::isfinite(sum),
             "the loss is not finite at iteration {} ({}); images of the batch: {}; the config is "
             "saved in {}/config.yaml; a lower SOLVER.LR or SOLVER.CLIP_GRADIENTS may help, and "
             "check_data finds bad annotations",
             iteration(), described(values), fmt::join(batch.image_ids, ", "),
             experiment_.config.output_dir);
  events().put("loss", sum);
  for (const auto& [name, value] : values) {
    events().put("loss/" + name, value);
  }

  optimizer_->zero_grad();
  total.backward();
  after_backward();
  if (const double largest = experiment_.config.solver.clip_gradients; largest > 0) {
    events().put("grad_norm", clip_gradients(detector_->parameters(), largest));
  }
  optimizer_->step();
  loader_->recycle(std::move(batch));
}

}  // namespace ssdq
