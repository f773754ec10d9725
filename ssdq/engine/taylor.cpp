#include "ssdq/engine/taylor.h"

#include <cmath>
#include <memory>
#include <utility>

#include <fmt/ranges.h>
#include <torch/torch.h>

#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/pruning/taylor.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/timer.h"

namespace ssdq {
namespace {

// While it lives, a module is in evaluation mode and its parameters have gradients of their own;
// then modes and gradients are what they were.
class EvaluationWithGradients {
 public:
  explicit EvaluationWithGradients(torch::nn::Module& module) {
    for (const auto& one : module.modules()) {
      modes_.emplace_back(one, one->is_training());
    }
    for (const auto& one : module.parameters()) {
      parameters_.push_back({one, one.grad(), one.requires_grad()});
      parameters_.back().value.set_requires_grad(true);
    }
    forget();
    module.eval();
  }

  ~EvaluationWithGradients() {
    for (Parameter& one : parameters_) {
      one.value.mutable_grad() = one.gradient;
      one.value.set_requires_grad(one.wanted);
    }
    for (const auto& [module, training] : modes_) {
      module->train(training);  // of its children too, which come later
    }
  }

  EvaluationWithGradients(const EvaluationWithGradients&) = delete;
  EvaluationWithGradients& operator=(const EvaluationWithGradients&) = delete;

  void forget() {
    for (Parameter& one : parameters_) one.value.mutable_grad() = torch::Tensor();
  }

 private:
  struct Parameter {
    torch::Tensor value, gradient;
    bool wanted;
  };

  std::vector<std::pair<std::shared_ptr<torch::nn::Module>, bool>> modes_;
  std::vector<Parameter> parameters_;
};

torch::Tensor loss_of(Detector& detector, const Batch& batch, const Experiment& experiment) {
  const auto loss =
      detection_loss(detector->forward(images_of(batch, experiment)), batch, experiment);
  torch::Tensor total = loss.classification + loss.localization;
  SSDQ_CHECK(std::isfinite(total.item<double>()),
             "importance taylor: the loss is {}, expected a number; images of the batch: {}",
             total.item<double>(), fmt::join(batch.image_ids, ", "));
  return total;
}

}  // namespace

std::vector<double> taylor_scores(Detector& detector, const Experiment& experiment,
                                  const ChannelUnits& units,
                                  const std::vector<ChannelGroup>& groups, int batches) {
  SSDQ_CHECK_CONFIG(batches >= 1, "importance taylor over {} batches; expected 1 or more", batches);
  SSDQ_CHECK_CONFIG(!experiment.config.datasets.train.empty(),
                    "importance taylor needs training images, but DATASETS.TRAIN is empty; set it "
                    "or use another importance");
  const Timer clock;
  const auto dataset = open_datasets(experiment, experiment.config.datasets.train,
                                     /*training=*/true);
  TrainLoader loader(*dataset, train_loader_options(experiment));
  const torch::AutoGradMode with_gradients(true);
  EvaluationWithGradients evaluation(*detector);
  TaylorImportance importance(*detector, units, groups);
  for (int i = 0; i < batches; ++i) {
    Batch batch = loader.next();
    evaluation.forget();
    loss_of(detector, batch, experiment).backward();
    importance.add();
    loader.recycle(std::move(batch));
  }
  log_info("importance taylor: gradients of {} batches ({:.1f} s)", batches, clock.seconds());
  return importance.scores();
}

}  // namespace ssdq
