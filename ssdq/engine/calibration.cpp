#include "ssdq/engine/calibration.h"

#include <type_traits>
#include <utility>

#include <torch/torch.h>

#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/layers/autocast.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/timer.h"

namespace ssdq {
namespace {

// Shows the detector `count` batches of a loader of its own, so that the order of training is not
// touched: on every rank those of all ranks.
void show_batches(DetectorImpl& detector, const Experiment& experiment, const Dataset& dataset,
                  int64_t first, int count) {
  const torch::NoGradGuard no_grad;
  LoaderOptions options = train_loader_options(experiment);
  options.batch_size *= options.world_size;
  options.rank = 0;
  options.world_size = 1;
  TrainLoader loader(dataset, options, first);
  for (int i = 0; i < count; ++i) {
    Batch batch = loader.next();
    {
      const Bf16Autocast autocast(experiment.device, experiment.config.solver.bf16);
      detector.forward(images_of(batch, experiment));
    }
    loader.recycle(std::move(batch));
  }
}

}  // namespace

void calibrate(DetectorImpl& detector, const Experiment& experiment, const Dataset& dataset,
               const std::vector<NamedQuantizer>& quantizers, int batches) {
  if (quantizers.empty() || batches <= 0) {
    return;
  }
  const Timer clock;
  const bool was_training = detector.is_training();
  const auto all = quantizers_of(detector);
  std::vector<QuantizerMode> modes;
  detector.eval();
  for (const auto& one : all) {
    modes.push_back(one.quantizer->mode());
    one.quantizer->set_mode({/*quantize=*/false, /*observe=*/true});
  }
  for (const auto& one : quantizers) {
    one.quantizer->train();
  }
  show_batches(detector, experiment, dataset, 0, batches);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].quantizer->set_mode(modes[i]);
  }
  detector.train(was_training);
  log_info("ranges of {} quantizers set from {} batches ({:.1f} s)", quantizers.size(), batches,
           clock.seconds());
}

void reestimate_batch_norm(DetectorImpl& detector, const Experiment& experiment,
                           const Dataset& dataset, int64_t first_batch, int batches) {
  const Timer clock;
  const BatchNorms norms = batch_norms_of(detector);
  if (norms.empty() || batches <= 0) {
    return;
  }
  using Momentum = std::decay_t<decltype(norms[0]->options.momentum())>;
  std::vector<Momentum> momenta;
  detector.train();
  for (const auto& one : quantizers_of(detector)) {
    one.quantizer->eval();
  }
  for (const auto& bn : norms) {
    momenta.push_back(bn->options.momentum());
    bn->reset_running_stats();
    bn->options.momentum(Momentum{});  // none: a cumulative average
  }
  show_batches(detector, experiment, dataset, first_batch, batches);
  for (size_t i = 0; i < norms.size(); ++i) {
    norms[i]->options.momentum(momenta[i]);
  }
  detector.train();
  log_info("statistics of {} batch norms re-estimated from {} batches ({:.1f} s)", norms.size(),
           batches, clock.seconds());
}

}  // namespace ssdq
