#include "ssdq/engine/weights.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "ssdq/checkpoint/checkpointer.h"
#include "ssdq/engine/calibration.h"
#include "ssdq/engine/weights_import.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/glob.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

bool is_quantizer_state(const std::string& name) {
  return name.find("quantizer") != std::string::npos;
}

std::vector<std::string> quantizer_state(const Detector& detector) {
  std::vector<std::string> names;
  for (const auto& entry : state(*detector)) {
    if (is_quantizer_state(entry.first)) {
      names.push_back(entry.first);
    }
  }
  return names;
}

void forget(std::vector<std::string>& names, const std::function<bool(const std::string&)>& which) {
  names.erase(std::remove_if(names.begin(), names.end(), which), names.end());
}

std::string advice(const LoadReport& report) {
  const bool classes = std::any_of(report.mismatched.begin(), report.mismatched.end(),
                                   [](const auto& line) { return starts_with(line, "head.cls."); });
  return classes ? "\nto train other classes from these weights, set MODEL.RESET [head.cls.*]" : "";
}

// Throws unless only state of quantizers is missing, whose names are returned, and what the request
// allows.
std::vector<std::string> refuse_differences(const Detector& detector, LoadReport report,
                                            const std::string& path,
                                            const WeightsRequest& request) {
  auto& missing = report.missing;
  forget(missing, [&](const auto& name) {
    return !is_quantizer_state(name) &&
           (matches_any(request.allow_missing, name) || matches_any(request.reset, name));
  });
  const auto ranges = std::stable_partition(
      missing.begin(), missing.end(), [](const auto& name) { return !is_quantizer_state(name); });
  std::vector<std::string> unset(ranges, missing.end());
  missing.erase(ranges, missing.end());
  const bool only_quantized =
      missing.empty() && report.mismatched.empty() && !report.unexpected.empty() &&
      std::all_of(report.unexpected.begin(), report.unexpected.end(), is_quantizer_state);
  SSDQ_CHECK(
      !only_quantized || !quantizers_of(*detector).empty(),
      "{}: the file holds a quantized model ({} tensors of quantizers), but "
      "QUANTIZATION.TYPE is none; expected the QUANTIZATION section that it was trained with",
      path, report.unexpected.size());
  SSDQ_CHECK(report.fits(), "{}{}", describe(report, path), advice(report));
  return unset;
}

// Of a foreign file, which weights_for has checked, a classifier leaves the layers behind it
// random.
std::vector<std::string> load_backbone(Detector& detector, const std::string& path) {
  const Checkpoint checkpoint = load_checkpoint(path);
  WeightsRequest request;
  request.backbone_only = true;
  const auto backbone = weights_for(detector->graph(), checkpoint, path, request);
  const bool own = !checkpoint.weights_only || is_own_state(detector->graph(), checkpoint.model);
  auto report = load_state(*detector, backbone.tensors);
  const auto ranges = set_input_ranges(*detector, backbone.input_ranges);
  forget(report.missing, [&](const auto& name) {
    return ranges.count(name) > 0 ||
           ((!own || !starts_with(name, "backbone.")) && !is_quantizer_state(name));
  });
  return refuse_differences(detector, std::move(report), path, request);
}

void calibrate_for_evaluation(Detector& detector, const Experiment& experiment,
                              const std::vector<NamedQuantizer>& unset, const std::string& path) {
  const Config& config = experiment.config;
  const int batches = config.quantization.calibration_batches;
  SSDQ_CHECK_CONFIG(batches > 0 && !config.datasets.train.empty(),
                    "{}: has no ranges for {} quantizers; train first, or set "
                    "QUANTIZATION.CALIBRATION_BATCHES and DATASETS.TRAIN to take them from "
                    "training images",
                    path, unset.size());
  log_info(
      "the file has no ranges for {} quantizers: post-training quantization with ranges from "
      "DATASETS.TRAIN",
      unset.size());
  const auto dataset = open_datasets(experiment, config.datasets.train, /*training=*/true);
  calibrate(*detector, experiment, *dataset, unset, batches);
}

LoadedWeights load_weights(Detector& detector, const std::string& path,
                           const WeightsRequest& request) {
  const Checkpoint checkpoint = load_checkpoint(path);
  LoadedWeights loaded;
  const auto weights = weights_for(detector->graph(), checkpoint, path, request);
  loaded.missing_tensors =
      refuse_differences(detector, load_state(*detector, weights.tensors), path, request);
  const auto ranges = set_input_ranges(*detector, weights.input_ranges);
  forget(loaded.missing_tensors, [&](const auto& name) { return ranges.count(name) > 0; });
  // The file's ranges may be those of other widths.
  for (const auto& one : quantizers_of(*detector)) {
    one.quantizer->set_bits(one.quantizer->spec().bits);
  }
  loaded.class_names = class_names(checkpoint);
  return loaded;
}

// A glob that names nothing is a mistake: the tensors that it should reset would be kept.
WeightsRequest initial_request(const Detector& detector, const ModelConfig& model) {
  for (const auto& glob : model.reset) {
    const State tensors = state(*detector);
    SSDQ_CHECK_CONFIG(std::any_of(tensors.begin(), tensors.end(),
                                  [&](const auto& one) { return glob_matches(glob, one.first); }),
                      "MODEL.RESET: '{}' matches no tensor of the network; expected a glob on "
                      "names such as {}",
                      glob, tensors.back().first);
  }
  WeightsRequest request;
  request.allow_missing = model.allow_missing;
  request.reset = model.reset;
  return request;
}

}  // namespace

LoadedWeights load_weights(Detector& detector, const std::string& path) {
  return load_weights(detector, path, {});
}

void load_weights_and_ranges(Detector& detector, const Experiment& experiment,
                             const std::string& path) {
  const auto unset = owners_of(*detector, load_weights(detector, path).missing_tensors);
  if (!unset.empty()) {
    calibrate_for_evaluation(detector, experiment, unset, path);
  }
}

std::vector<std::string> load_initial_weights(Detector& detector, const Experiment& experiment) {
  const ModelConfig& model = experiment.config.model;
  if (!model.weights.empty()) {
    auto loaded = load_weights(detector, resolve_path(model.weights, experiment.config_file),
                               initial_request(detector, model));
    log_info("weights: {}", model.weights);
    return loaded.missing_tensors;
  }
  SSDQ_CHECK_CONFIG(!model.fine_tune,
                    "MODEL.FINE_TUNE is true, but MODEL.WEIGHTS names no checkpoint; expected the "
                    "weights to start from");
  if (model.backbone.pretrained && !model.backbone.weights.empty()) {
    auto missing =
        load_backbone(detector, resolve_path(model.backbone.weights, experiment.config_file));
    log_info("weights: backbone from {}, heads random", model.backbone.weights);
    return missing;
  }
  log_info("weights: random (neither MODEL.WEIGHTS nor MODEL.BACKBONE.WEIGHTS is set)");
  return quantizer_state(detector);
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
  load_weights_and_ranges(detector, experiment, path);
  log_info("evaluating {}", path);
}

}  // namespace ssdq
