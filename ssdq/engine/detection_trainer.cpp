#include "ssdq/engine/detection_trainer.h"

#include <algorithm>
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

// On a GPU a small network would fit into one bucket, which the backward pass cannot hide: four at
// least, unless they would be smaller than a MiB. On a CPU hiding takes its time from the backward
// pass itself (docs/distributed.md).
ReducerOptions reducer_options(const GradientReducer::NamedParameters& parameters,
                               const DistributedConfig& settings, bool cuda) {
  constexpr int64_t kMiB = 1 << 20;
  constexpr int64_t kBuckets = 4;
  int64_t bytes = 0;
  for (const auto& parameter : parameters) {
    bytes += parameter.second.numel() * static_cast<int64_t>(sizeof(float));
  }
  ReducerOptions options;
  options.bucket_bytes = static_cast<int64_t>(settings.bucket_mb * kMiB);
  if (cuda) {
    options.bucket_bytes = std::min(options.bucket_bytes, std::max(kMiB, bytes / kBuckets));
  }
  options.bfloat16 = settings.gradient_dtype == "bfloat16";
  return options;
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
    : experiment_(experiment), detector_(std::move(detector)), optimizer_(std::move(optimizer)) {
  if (!experiment_.ranks) {
    return;
  }
  GradientReducer::NamedParameters parameters;
  for (const auto& item : detector_->named_parameters()) {
    parameters.emplace_back(item.key(), item.value());
  }
  reducer_ = std::make_unique<GradientReducer>(
      parameters, *experiment_.ranks->group,
      reducer_options(parameters, experiment_.config.distributed, experiment_.device.is_cuda()));
}

MultiBoxLoss detection_loss(const DetectorOutput& output, const Batch& batch,
                            const Experiment& experiment, std::optional<int64_t> divisor) {
  const bool pin = experiment.config.data_loader.pin_memory;
  return multibox_loss(output.class_logits, output.box_regression,
                       to_device(labels_of(batch), experiment.device, pin),
                       to_device(locations_of(batch), experiment.device, pin),
                       experiment.config.model.neg_pos_ratio,
                       score_function(experiment.config.model.box_head), divisor);
}

std::optional<int64_t> DetectionTrainer::all_positives(const Batch& batch) const {
  if (!experiment_.ranks) {
    return std::nullopt;
  }
  const auto positives = count_positives(labels_of(batch)).to(experiment_.device);
  experiment_.ranks->group->all_reduce(positives)->wait();
  return positives.item<int64_t>();
}

DetectorOutput DetectionTrainer::forward(const torch::Tensor& images,
                                         std::vector<torch::Tensor>& features) {
  const Bf16Autocast autocast(experiment_.device, experiment_.config.solver.bf16);
  return teacher_ && teacher_->uses_features() ? detector_->forward_with_features(images, features)
                                               : detector_->forward(images);
}

LossTerms DetectionTrainer::losses(const Batch& batch, std::optional<int64_t> positives) {
  const torch::Tensor images = images_of(batch, experiment_);
  std::vector<torch::Tensor> features;
  const DetectorOutput output = forward(images, features);
  const MultiBoxLoss loss = detection_loss(output, batch, experiment_, positives);
  LossTerms terms{{"classification", loss.classification}, {"localization", loss.localization}};
  if (teacher_) {
    const auto labels =
        to_device(labels_of(batch), experiment_.device, experiment_.config.data_loader.pin_memory);
    for (auto& term : teacher_->losses(images, labels, output, features, positives)) {
      terms.push_back(std::move(term));
    }
  }
  return terms;
}

void DetectionTrainer::prepare_step() { detector_->train(); }

bool DetectionTrainer::stops() const { return reducer_ ? all_stop_ : Trainer::stops(); }

void DetectionTrainer::share(Values& values) {
  if (!experiment_.ranks) {
    return;
  }
  std::vector<double> numbers{stopped() ? 1.0 : 0.0};
  for (const auto& value : values) {
    numbers.push_back(value.second);
  }
  const auto sums = torch::tensor(numbers, torch::kFloat64).to(experiment_.device);
  experiment_.ranks->group->all_reduce(sums)->wait();
  const auto all = sums.cpu();
  all_stop_ = all[0].item<double>() > 0;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i].second = all[static_cast<int64_t>(i) + 1].item<double>();
  }
}

void DetectionTrainer::report(const Values& values, const Batch& batch) {
  double sum = 0;
  for (const auto& value : values) {
    sum += value.second;
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
}

void DetectionTrainer::backward(const torch::Tensor& loss) {
  optimizer_->zero_grad();
  loss.backward();
  if (reducer_) {
    reducer_->finish();
  }
  if (reducer_ && !experiment_.device.is_cuda()) {  // a GPU's calls only begin there
    events().put("communication", reducer_->statistics().communicating);
    events().put("communication_wait", reducer_->statistics().waiting);
  }
}

void DetectionTrainer::run_step() {
  const Timer data_clock;
  Batch batch = loader_->next();
  events().put("data_time", data_clock.seconds());

  torch::Tensor total;
  Values values;
  {
    const auto positives = all_positives(batch);
    const StatisticsScope scope(experiment_.ranks ? experiment_.ranks->statistics : nullptr,
                                experiment_.config.distributed.sync_bn);
    for (const auto& [name, term] : losses(batch, positives)) {
      total = total.defined() ? total + term : term;
      values.emplace_back(name, term.item<double>());
    }
  }
  share(values);
  report(values, batch);
  backward(total);
  after_backward();
  if (const double largest = experiment_.config.solver.clip_gradients; largest > 0) {
    events().put("grad_norm", clip_gradients(detector_->parameters(), largest));
  }
  optimizer_->step();
  loader_->recycle(std::move(batch));
}

}  // namespace ssdq
