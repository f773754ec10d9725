#include "ssdq/engine/magnitude_prune.h"

#include <filesystem>
#include <map>
#include <utility>

#include <torch/torch.h>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/config/paths.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/named_backbones.h"
#include "ssdq/engine/prune_files.h"
#include "ssdq/engine/pruned_config.h"
#include "ssdq/engine/pruner.h"
#include "ssdq/engine/weights.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/log.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

struct Files {
  std::string folder, weights, yaml, json, markdown;

  std::vector<std::string> all() const { return {weights, yaml, json, markdown}; }
};

Files files_of(const MagnitudePruneOptions& options, const LoadedConfig& loaded) {
  const fs::path folder =
      options.output.empty() ? default_prune_folder(loaded.config) : options.output;
  const std::string stem = fs::path(loaded.file).stem().string() + "_sparse";
  return {folder.string(), (folder / (stem + ".safetensors")).string(),
          (folder / (stem + ".yaml")).string(), (folder / "report.json").string(),
          (folder / "report.md").string()};
}

// With quantizers' ranges, on the CPU.
State load(const Experiment& experiment, const std::string& path) {
  Detector detector = build_detector(experiment);
  load_weights_and_ranges(detector, experiment, path);
  return cpu_copy(*detector);
}

// The network is the same, so that its cfg stays where it is.
Experiment sparse_experiment(Experiment experiment, const Files& files) {
  const auto cfg = resolve_path(backbone_cfg(experiment.config), experiment.config_file);
  experiment.config =
      pruned_config(experiment, files.folder, fs::absolute(cfg).lexically_normal().string(),
                    fs::path(files.weights).filename().string());
  return experiment;
}

void read_again(const Experiment& experiment, const Files& files, const State& values,
                Registries& registries) {
  const auto loaded = load_config(files.yaml);
  const Experiment again = experiment_to_prune(loaded, registries);
  SSDQ_CHECK(again.graph == experiment.graph,
             "{}: read again, it describes another network than the one in memory; do not use it",
             files.yaml);
  Detector detector = build_detector(again);
  const auto path = resolve_path(again.config.model.weights, files.yaml);
  load_weights(detector, path);
  const State found = load_checkpoint(path).model;
  const std::map<std::string, torch::Tensor> by_name(found.begin(), found.end());
  for (const auto& [name, tensor] : values) {
    const auto one = by_name.find(name);
    SSDQ_CHECK(one != by_name.end() && torch::equal(one->second, tensor),
               "{}: read again, {} is not what was written; do not use it", path, name);
  }
}

void evaluate_one(const char* name, const Experiment& experiment, const State& values,
                  MagnitudeReport& report) {
  if (experiment.config.datasets.test.empty()) {
    return;
  }
  log_info("evaluating the {} network", name);
  Detector detector = detector_with(experiment, values);
  report.evaluations.emplace_back(name, evaluate(detector, experiment));
}

}  // namespace

MagnitudeReport run_magnitude_pruning(const LoadedConfig& loaded,
                                      const MagnitudePruneOptions& options,
                                      Registries& registries) {
  SSDQ_CHECK_CONFIG(options.amount >= 0 && options.amount < 1,
                    "--amount is {}; expected at least 0 and less than 1, such as 0.5",
                    options.amount);
  const Files files = files_of(options, loaded);
  if (!options.force) refuse_existing(files.all());
  const Experiment experiment = experiment_to_prune(loaded, registries);
  const State original = load(experiment, options.weights);
  SparseState sparse = prune_smallest_weights(experiment.graph, original, options.amount);

  make_directories(files.folder);
  write_network(
      files.weights, files.yaml,
      {sparse_experiment(experiment, files), sparse.state, class_names_in(options.weights)});
  read_again(experiment, files, sparse.state, registries);

  MagnitudeReport report;
  report.config_file = experiment.config_file;
  report.weights = options.weights;
  report.amount = options.amount;
  evaluate_one("original", experiment, original, report);
  evaluate_one("sparse", experiment, sparse.state, report);
  report.sparse = std::move(sparse.weights);
  report.zeros = sparse.zeros;
  report.total = sparse.total;
  report.files = files.all();
  write_file_atomically(files.json, magnitude_report_json(report));
  write_file_atomically(files.markdown, magnitude_report_text(report, TableStyle::kMarkdown));
  return report;
}

}  // namespace ssdq
