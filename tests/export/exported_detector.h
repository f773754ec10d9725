#pragma once

#include <string>
#include <vector>

#include <torch/types.h>

#include "onnx_testing.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"
#include "ssdq/export/export_model.h"
#include "ssdq/export/onnx_detector.h"
#include "ssdq/modeling/state.h"

namespace ssdq::testing {

using Overrides = std::vector<std::string>;

// A configuration with its detector, as Experiment keeps a pointer to the registries.
struct Subject {
  Registries registries = builtin_registries();
  Experiment experiment;
  Detector detector{nullptr};

  explicit Subject(const std::string& config, Overrides overrides = {}) {
    overrides.insert(overrides.end(), {"MODEL.DEVICE", "cpu"});
    const auto loaded = load_config(config, overrides);
    experiment = build_experiment(loaded.config, loaded.file, registries);
    detector = build_detector(experiment);
    detector->eval();
  }
};

// As export_net makes it.
inline ExportModel exported(const Subject& subject) {
  ExportModel model;
  model.config = subject.experiment.config;
  model.graph = subject.experiment.graph;
  model.priors = subject.experiment.priors;
  model.state = state(*subject.detector);
  model.class_names = {"RBC", "WBC", "Platelets"};
  model.weights_file = "weights";
  return model;
}

// 0: any number of images.
inline OnnxOptions options_of(OnnxHeads heads, int static_batch = 0) {
  OnnxOptions options;
  options.heads = heads;
  options.dynamic_batch = static_batch == 0;
  options.batch_size = static_batch;
  return options;
}

inline RunValue value_of(const torch::Tensor& x) {
  const auto flat = x.contiguous();
  const auto* data = flat.data_ptr<float>();
  return {x.sizes().vec(), {data, data + flat.numel()}};
}

}  // namespace ssdq::testing
