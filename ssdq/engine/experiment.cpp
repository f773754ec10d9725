#include "ssdq/engine/experiment.h"

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include <torch/cuda.h>

#include "ssdq/config/validate.h"
#include "ssdq/detection/candidates.h"
#include "ssdq/engine/named_backbones.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/features.h"
#include "ssdq/modeling/state.h"
#include "ssdq/quantization/build.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Graph build_graph(const Config& config, const std::string& cfg_path, const Registries& registries) {
  Graph graph = read_cfg(cfg_path, config.input.image_size, config.input.channels);
  HeadSpec head;
  head.predictor = config.model.box_head.predictor;
  head.boxes_per_location = boxes_per_location(config.model.priors);
  head.num_classes = config.model.num_classes;
  const PriorsConfig& priors = config.model.priors;
  check_features(graph, config.model.backbone.out_channels, priors.feature_maps,
                 {{"MODEL.PRIORS.STRIDES", priors.strides.size()},
                  {"MODEL.PRIORS.MIN_SIZES", priors.min_sizes.size()},
                  {"MODEL.PRIORS.ASPECT_RATIOS", priors.aspect_ratios.size()}});
  append_heads(registries.heads, graph, head);
  return graph;
}

std::vector<Size2> feature_maps(const Graph& graph) {
  std::vector<Size2> maps;
  for (const Shape& shape : feature_shapes(graph)) {
    maps.push_back(shape.size);
  }
  return maps;
}

// Launchers may let each rank see its own GPU alone (srun --gpus-per-task).
int gpu_of(const World& world) {
  const bool own_view =
      std::getenv("CUDA_VISIBLE_DEVICES") != nullptr && torch::cuda::device_count() == 1;
  return own_view ? 0 : world.local_rank;
}

}  // namespace

Experiment build_experiment(const Config& config, const std::string& config_file,
                            Registries& registries, const World& world) {
  Experiment experiment;
  experiment.world = world;
  experiment.config = config;
  experiment.config_file = config_file;
  experiment.registries = &registries;
  const auto cfg_path = resolve_path(backbone_cfg(config), config_file);
  experiment.graph = build_graph(config, cfg_path, registries);
  experiment.graph_cfg = write_cfg(experiment.graph);
  experiment.feature_maps = feature_maps(experiment.graph);
  experiment.priors =
      make_priors(config.model.priors, experiment.feature_maps, config.input.image_size);
  experiment.device = resolve_device(config.model.device);
  if (experiment.device.is_cuda() && world.size > 1) {
    experiment.device = resolve_device(fmt::format("cuda:{}", gpu_of(world)));
  }
  use_device(experiment.device);
  const int cores = static_cast<int>(std::thread::hardware_concurrency()) / world.local_size;
  experiment.threads = plan_threads(config.num_threads, config.data_loader.num_workers, cores,
                                    experiment.device.is_cuda());
  return experiment;
}

bool use_channels_last(const Experiment& experiment) {
  return experiment.config.solver.channels_last != "off";
}

std::array<float, 3> rgb_floats(const std::vector<double>& values) {
  SSDQ_CHECK_CONFIG(values.size() == 3,
                    "INPUT.PIXEL_MEAN and PIXEL_STD: expected 3 values (R, G, B), got {}",
                    values.size());
  return {static_cast<float>(values[0]), static_cast<float>(values[1]),
          static_cast<float>(values[2])};
}

Detector build_detector(const Experiment& experiment) {
  const Config& config = experiment.config;
  Detector detector(experiment.graph, config.model.num_classes,
                    quantization_methods(experiment.registries->quantizers, config.quantization),
                    config.quantization);
  detector->to(experiment.device);
  if (use_channels_last(experiment)) {
    to_channels_last(*detector);
  }
  return detector;
}

PostProcessor build_post_processor(const Experiment& experiment) {
  const TestConfig& test = experiment.config.test;
  PostProcessOptions options;
  options.confidence_threshold = static_cast<float>(test.confidence_threshold);
  options.nms_threshold = static_cast<float>(test.nms_threshold);
  options.candidates_per_class = test.candidates_per_class;
  options.max_per_class = test.max_per_class;
  options.max_per_image = test.max_per_image;
  options.variances = {static_cast<float>(experiment.config.model.center_variance),
                       static_cast<float>(experiment.config.model.size_variance)};
  options.scores = score_function(experiment.config.model.box_head);
  return {experiment.priors, experiment.config.model.num_classes, options};
}

DatasetCatalog build_catalog(const Experiment& experiment) {
  DatasetCatalog catalog(dataset_search_dirs(experiment.config_file));
  for (const auto& [name, definition] : experiment.config.datasets.define) {
    catalog.add(name, definition);
  }
  return catalog;
}

std::unique_ptr<Dataset> open_datasets(const Experiment& experiment,
                                       const std::vector<std::string>& names, bool training) {
  const char* key = training ? "DATASETS.TRAIN" : "DATASETS.TEST";
  SSDQ_CHECK_CONFIG(!names.empty(),
                    "{} is empty; expected at least one data set name (`list datasets` shows them)",
                    key);
  const auto catalog = build_catalog(experiment);
  OpenOptions options;
  options.training = training;
  auto dataset = catalog.open_all(names, options);
  const int classes = static_cast<int>(dataset->class_names().size());
  SSDQ_CHECK_CONFIG(
      classes == experiment.config.model.num_classes - 1,
      "MODEL.NUM_CLASSES is {}, but {} has {} classes, which with the background makes {}",
      experiment.config.model.num_classes, dataset->name(), classes, classes + 1);
  SSDQ_CHECK_CONFIG(dataset->size() > 0, "{}: data set {} has no images", key, dataset->name());
  return dataset;
}

}  // namespace ssdq
