#include "ssdq/engine/loader_options.h"

#include <memory>
#include <vector>

#include "ssdq/data/box_policy.h"
#include "ssdq/detection/matcher.h"

namespace ssdq {

LoaderOptions loader_options(const Experiment& experiment, int batch_size) {
  const Config& config = experiment.config;
  LoaderOptions options;
  options.batch_size = batch_size;
  options.image_size = config.input.image_size;
  options.mean = rgb_floats(config.input.pixel_mean);
  options.std = rgb_floats(config.input.pixel_std);
  options.num_workers = experiment.threads.data;
  options.prefetch = config.data_loader.prefetch;
  options.own_threads = experiment.threads.compute;
  options.rank = experiment.world.rank;
  options.world_size = experiment.world.size;
  return options;
}

LoaderOptions train_loader_options(const Experiment& experiment) {
  const Config& config = experiment.config;
  LoaderOptions options = loader_options(experiment, config.solver.batch_size);
  options.augmentation = config.augmentation;
  options.seed = static_cast<uint64_t>(config.seed);
  options.epoch_end = parse_epoch_end(config.data_loader.epoch_end);
  options.num_priors = static_cast<int64_t>(experiment.priors.size());
  const BoxPolicy policy = parse_box_policy(config.datasets.bad_boxes);
  options.sanitize = [policy, classes = config.model.num_classes](const Record& record,
                                                                  Size2 size) {
    return sanitize(record, size, policy, classes).objects;
  };
  const BoxVariances variances{static_cast<float>(config.model.center_variance),
                               static_cast<float>(config.model.size_variance)};
  const auto matcher = std::make_shared<Matcher>(
      experiment.priors, static_cast<float>(config.model.threshold), variances);
  options.match = [matcher](const std::vector<Object>& objects) { return matcher->match(objects); };
  return options;
}

}  // namespace ssdq
