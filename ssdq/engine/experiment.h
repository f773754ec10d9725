#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <torch/types.h>

#include "ssdq/config/config.h"
#include "ssdq/data/catalog.h"
#include "ssdq/data/dataset.h"
#include "ssdq/detection/post_processor.h"
#include "ssdq/detection/priors.h"
#include "ssdq/distributed/ranks.h"
#include "ssdq/distributed/world.h"
#include "ssdq/engine/device.h"
#include "ssdq/engine/registries.h"
#include "ssdq/graph/graph.h"
#include "ssdq/modeling/detector.h"

namespace ssdq {

// Everything that a configuration describes except learned values: the network graph, its priors
// and the means to make detectors and data sets. Building one checks the whole configuration.
struct Experiment {
  Config config;
  std::string config_file;
  Registries* registries = nullptr;
  std::string graph_cfg;  // the backbone as cfg text, for checkpoints
  Graph graph;            // backbone and heads
  std::vector<Size2> feature_maps;
  std::vector<CenterBox> priors;
  torch::Device device = torch::kCPU;
  ThreadPlan threads;
  World world;                         // this process among those of the run
  std::shared_ptr<const Ranks> ranks;  // connected; null when the run is one process
};

// Reads the cfg, appends the heads, infers shapes and checks them against the configuration. The
// ranks of a machine share its cores, and each has a GPU of its own. Throws ConfigError.
Experiment build_experiment(const Config& config, const std::string& config_file,
                            Registries& registries, const World& world = {});

// Whether images and weights are channels-last in memory (SOLVER.CHANNELS_LAST; "auto" is on).
bool use_channels_last(const Experiment& experiment);

// The three values of INPUT.PIXEL_MEAN or PIXEL_STD.
std::array<float, 3> rgb_floats(const std::vector<double>& values);

// A detector with fresh random weights (torch's default generator) on the experiment's device.
Detector build_detector(const Experiment& experiment);

PostProcessor build_post_processor(const Experiment& experiment);

// The built-in data sets and those of DATASETS.DEFINE.
DatasetCatalog build_catalog(const Experiment& experiment);

// Data sets of that list as one. Throws ConfigError when the list is empty, a name is unknown or
// the class count does not fit MODEL.NUM_CLASSES.
std::unique_ptr<Dataset> open_datasets(const Experiment& experiment,
                                       const std::vector<std::string>& names, bool training);

}  // namespace ssdq
