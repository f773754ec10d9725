#include "ssdq/engine/weights.h"

#include <algorithm>

#include "ssdq/checkpoint/checkpointer.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

bool is_quantizer_state(const std::string& name) {
  return name.find("quantizer") != std::string::npos;
}

void refuse_differences(LoadReport report, const std::string& path) {
  auto& missing = report.missing;
  missing.erase(std::remove_if(missing.begin(), missing.end(), is_quantizer_state), missing.end());
  SSDQ_CHECK(report.fits(), "{}", describe(report, path));
}

void load_backbone(Detector& detector, const std::string& path) {
  State backbone;
  for (auto& entry : inference_weights(load_checkpoint(path))) {
    if (starts_with(entry.first, "backbone.")) {
      backbone.push_back(entry);
    }
  }
  SSDQ_CHECK(!backbone.empty(),
             "{}: no tensor is named 'backbone.*'; expected a checkpoint of this network", path);
  auto report = load_state(*detector, backbone);
  auto& missing = report.missing;
  missing.erase(std::remove_if(missing.begin(), missing.end(),
                               [](const auto& name) { return !starts_with(name, "backbone."); }),
                missing.end());
  refuse_differences(std::move(report), path);
}

}  // namespace

std::vector<std::string> load_weights(Detector& detector, const std::string& path) {
  const Checkpoint checkpoint = load_checkpoint(path);
  refuse_differences(load_state(*detector, inference_weights(checkpoint)), path);
  const auto names = checkpoint.extra.find("class_names");
  return names == checkpoint.extra.end() ? std::vector<std::string>{} : split(names->second, '\n');
}

void load_initial_weights(Detector& detector, const Experiment& experiment) {
  const ModelConfig& model = experiment.config.model;
  if (!model.weights.empty()) {
    load_weights(detector, resolve_path(model.weights, experiment.config_file));
    log_info("weights: {}", model.weights);
  } else if (model.backbone.pretrained && !model.backbone.weights.empty()) {
    load_backbone(detector, resolve_path(model.backbone.weights, experiment.config_file));
    log_info("weights: backbone from {}, heads random", model.backbone.weights);
  } else {
    log_info("weights: random (neither MODEL.WEIGHTS nor MODEL.BACKBONE.WEIGHTS is set)");
  }
}

void load_for_evaluation(Detector& detector, const Experiment& experiment, const Origins& origins) {
  const auto& weights = experiment.config.model.weights;
  const auto origin = origins.find("MODEL.WEIGHTS");
  const bool demanded =
      origin != origins.end() && origin->second == "command line" && !weights.empty();
  const auto newest =
      Checkpointer(experiment.config.output_dir, experiment.config.solver.keep_checkpoints)
          .latest();
  std::string path;
  if (!demanded && newest) {
    path = *newest;
  } else if (!weights.empty()) {
    path = resolve_path(weights, experiment.config_file);
  } else {
    fail_config(
        "no weights to evaluate: there is no checkpoint in {} and MODEL.WEIGHTS is not set; train "
        "first or add "
        "the override `MODEL.WEIGHTS FILE`",
        experiment.config.output_dir);
  }
  load_weights(detector, path);
  log_info("evaluating {}", path);
}

}  // namespace ssdq
