#include "ssdq/engine/prune.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <torch/torch.h>

#include "ssdq/checkpoint/checkpoint.h"
#include "ssdq/config/validate.h"
#include "ssdq/config/writer.h"
#include "ssdq/data/loader.h"
#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/engine/model_cost.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/engine/weights.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/features.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/rescale.h"
#include "ssdq/pruning/surgery.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

namespace fs = std::filesystem;

constexpr double kLargestDifference = 1e-4;
constexpr int kImages = 4;

struct Files {
  std::string folder, cfg, weights, yaml, json, markdown;

  std::vector<std::string> all() const { return {cfg, weights, yaml, json, markdown}; }
};

Files files_of(const std::string& folder, const std::string& config_file) {
  const std::string stem = fs::path(config_file).stem().string() + "_pruned";
  const auto in_folder = [&](const std::string& name) {
    return (fs::path(folder) / name).string();
  };
  return {folder,
          in_folder(stem + ".cfg"),
          in_folder(stem + ".safetensors"),
          in_folder(stem + ".yaml"),
          in_folder("report.json"),
          in_folder("report.md")};
}

Experiment on_cpu(Experiment experiment) {
  experiment.device = torch::kCPU;
  return experiment;
}

// In evaluation mode, on the experiment's device.
Detector detector_with(const Experiment& experiment, const State& values) {
  Detector detector = build_detector(experiment);
  load_state_strict(*detector, values, "the state of the network");
  detector->eval();
  return detector;
}

struct Images {
  torch::Tensor tensor;  // [N, C, H, W]
  bool real = false;
};

Images check_images(const Experiment& experiment) {
  const Config& config = experiment.config;
  if (config.datasets.test.empty()) {
    const Size2 size = config.input.image_size;
    return {torch::randn({kImages, config.input.channels, size.height, size.width}), false};
  }
  const auto dataset = open_datasets(experiment, config.datasets.test, /*training=*/false);
  TestLoader loader(*dataset, loader_options(experiment, kImages));
  const auto batch = loader.next();
  return {images_of(*batch, experiment).clone(), true};
}

// Largest difference of raw outputs, logits and boxes each over their own largest value.
double difference(Detector& a, Detector& b, const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  const auto of = [](const torch::Tensor& x, const torch::Tensor& y) {
    const double largest = std::max(x.abs().max().item<double>(), 1e-12);
    return (x - y).abs().max().item<double>() / largest;
  };
  const DetectorOutput x = a->forward(images), y = b->forward(images);
  return std::max(of(x.class_logits, y.class_logits), of(x.box_regression, y.box_regression));
}

void switch_quantizers_off(Detector& detector) {
  for (const auto& one : quantizers_of(*detector)) {
    one.quantizer->set_mode({/*quantize=*/false, /*observe=*/false});
  }
}

PruneScope scope_of(const PruneOptions& options, const Config& config) {
  if (!options.scope.empty()) {
    return parse_prune_scope(options.scope);
  }
  return config.prune.type == "none" ? PruneScope::kNormal : parse_prune_scope(config.prune.type);
}

// A relative folder as the written configuration finds it too.
std::string anchored(const std::string& folder, const std::string& config_file) {
  if (folder.empty() || fs::exists(folder)) {
    return folder;
  }
  for (const auto& dir : dataset_search_dirs(config_file)) {
    if (const fs::path place = fs::path(dir) / folder; fs::exists(place)) {
      return fs::absolute(place).lexically_normal().string();
    }
  }
  return folder;
}

// What the pruning of one detector needs from step to step.
class Pruning {
 public:
  Pruning(const Experiment& experiment, const PruneOptions& options, Files files)
      : experiment_(experiment),
        options_(options),
        files_(std::move(files)),
        units_(channel_units(experiment.graph)),
        compact_(experiment) {
    report_.config_file = experiment.config_file;
    report_.weights = options.weights;
    report_.importance = to_string(options.importance);
    report_.selection = options.selection;
    report_.compensated = options.compensate;
  }

  void load() {
    Detector detector = build_detector(experiment_);
    load_weights_and_ranges(detector, experiment_, options_.weights);
    for (const auto& [name, tensor] : state(*detector)) {
      original_.emplace_back(name, tensor.detach().to(torch::kCPU).clone());
    }
    class_names_ = join(class_names(inspect_checkpoint(options_.weights)), "\n");
  }

  void choose(PruneScope scope) {
    report_.scope = to_string(scope);
    const auto groups = groups_in_scope(experiment_.graph, units_, scope);
    SSDQ_CHECK_CONFIG(!groups.empty(),
                      "scope {}: the network has no channels that may be removed; try a wider one "
                      "(normal, shortcut, all)",
                      report_.scope);
    Detector detector = detector_with(on_cpu(experiment_), original_);
    const auto scores = unit_scores(*detector, units_, groups, options_.importance,
                                    static_cast<uint64_t>(experiment_.config.seed));
    const Selection selection = select_units(groups, scores, options_.selection);
    kept_ = selection.kept;
    report_.threshold = selection.threshold;
    compact_.graph = prune_graph(experiment_.graph, units_, kept_);
    compact_.graph_cfg = write_cfg(compact_.graph);
    compact_.config = written_config();
    final_ = original_;
    if (options_.compensate) {
      auto compensated = compensate(*detector, units_, kept_);
      final_ = std::move(compensated.state);
      report_.residuals = std::move(compensated.residuals);
    }
    compact_values_ = prune_state(experiment_.graph, units_, kept_, final_);
    const WidthPlan widths = code_widths(detector);
    report_.before = cost(experiment_.graph, widths);
    report_.after = cost(compact_.graph, widths);
  }

  void compare_with_masked() {
    const Images images = check_images(on_cpu(experiment_));
    Detector masked = detector_with(on_cpu(experiment_), masked_state(final_));
    Detector compact = detector_with(on_cpu(compact_), compact_values_);
    if (!quantizers_of(*masked).empty()) {
      report_.quantized_difference = rescale(masked, images.tensor);
      switch_quantizers_off(masked);
      switch_quantizers_off(compact);
    }
    report_.images = static_cast<int>(images.tensor.size(0));
    report_.real_images = images.real;
    report_.difference = difference(masked, compact, images.tensor);
    SSDQ_CHECK(report_.difference < kLargestDifference,
               "the pruned network is not the masked one: raw outputs differ by {} of the largest, "
               "expected less than {}; nothing was written",
               report_.difference, kLargestDifference);
    images_ = images.tensor;
  }

  void evaluate_all() {
    evaluate_one("original", experiment_, original_);
    evaluate_one("masked", experiment_, masked_state(original_));
    if (options_.compensate) {
      evaluate_one("compensated", experiment_, masked_state(final_));
    }
    if (!options_.quick) {
      evaluate_one("compact", compact_, compact_values_);
    }
  }

  void write() {
    make_directories(files_.folder);
    write_file_atomically(files_.cfg, compact_.graph_cfg);
    Checkpoint checkpoint;
    checkpoint.model = compact_values_;
    checkpoint.config_yaml = to_yaml(compact_.config);
    checkpoint.graph_cfg = compact_.graph_cfg;
    if (!class_names_.empty()) {
      checkpoint.extra["class_names"] = class_names_;
    }
    save_checkpoint(files_.weights, checkpoint);
    write_file_atomically(files_.yaml, checkpoint.config_yaml);
  }

  void read_again(Registries& registries) {
    const auto loaded = load_config(files_.yaml);
    validate(loaded.config, loaded.origins, known_names(registries));
    const auto again = on_cpu(build_experiment(loaded.config, loaded.file, registries));
    SSDQ_CHECK(again.graph == compact_.graph,
               "{}: read again, it is another network than the one in memory; do not use it",
               files_.cfg);
    Detector from_files = build_detector(again);
    load_weights(from_files, files_.weights);
    from_files->eval();
    Detector compact = detector_with(on_cpu(compact_), compact_values_);
    const double off = difference(compact, from_files, images_);
    SSDQ_CHECK(off < kLargestDifference,
               "{}: read again, its raw outputs differ by {} of the largest; do not use it",
               files_.weights, off);
  }

  void write_reports() {
    report_.files = files_.all();
    write_file_atomically(files_.json, prune_report_json(report_));
    write_file_atomically(files_.markdown, prune_report_text(report_, TableStyle::kMarkdown));
  }

  const PruneReport& report() const { return report_; }

 private:
  State masked_state(const State& values) const {
    return mask_state(experiment_.graph, units_, kept_, values);
  }

  // Gives the compact network the values that its quantizers ask for; returns the difference left.
  double rescale(Detector& masked, const torch::Tensor& images) {
    Detector compact = detector_with(on_cpu(compact_), compact_values_);
    const auto left = rescale_statistics(*masked, units_, kept_, *compact);
    if (!left.empty()) {
      log_warning(
          "the quantized weights of {} have another scale with fewer channels, and no batch norm "
          "to take it up; train the pruned network again",
          join(left, ", "));
    }
    compact_values_.clear();
    for (const auto& [name, tensor] : state(*compact)) {
      compact_values_.emplace_back(name, tensor.detach().clone());
    }
    return difference(masked, compact, images);
  }

  void evaluate_one(const char* name, const Experiment& experiment, const State& values) {
    log_info("evaluating the {} network", name);
    Detector detector = detector_with(experiment, values);
    report_.evaluations.emplace_back(name, evaluate(detector, experiment));
  }

  // Trains and evaluates the compact network from its files alone.
  Config written_config() const {
    Config config = experiment_.config;
    config.model.backbone.cfg = fs::path(files_.cfg).filename().string();
    config.model.backbone.out_channels.clear();
    for (const Shape& shape : feature_shapes(compact_.graph)) {
      config.model.backbone.out_channels.push_back(shape.channels);
    }
    config.model.backbone.weights.clear();
    config.model.backbone.pretrained = false;
    config.model.weights = fs::path(files_.weights).filename().string();
    config.model.reset.clear();
    config.model.allow_missing.clear();
    config.prune.type = "none";
    for (auto& [name, definition] : config.datasets.define) {
      definition.root = anchored(definition.root, experiment_.config_file);
      definition.annotations = anchored(definition.annotations, experiment_.config_file);
      definition.images = anchored(definition.images, experiment_.config_file);
    }
    config.output_dir = (fs::path(files_.folder) / "train").string();
    return config;
  }

  const Experiment& experiment_;
  const PruneOptions& options_;
  Files files_;
  ChannelUnits units_;
  KeptUnits kept_;
  Experiment compact_;
  State original_, final_;  // of the whole network; final_ with compensation
  State compact_values_;
  std::string class_names_;
  torch::Tensor images_;
  PruneReport report_;
};

void refuse(const PruneOptions& options, const Config& config, const Files& files) {
  SSDQ_CHECK_CONFIG(!options.quick || !config.datasets.test.empty(),
                    "--quick evaluates masks, but DATASETS.TEST is empty");
  for (const auto& file : files.all()) {
    SSDQ_CHECK_CONFIG(options.quick || options.force || !fs::exists(file),
                      "{}: exists already; add --force to replace it", file);
  }
}

}  // namespace

PruneReport run_pruning(const LoadedConfig& loaded, const PruneOptions& options,
                        Registries& registries) {
  validate(loaded.config, loaded.origins, known_names(registries));
  const auto scope = scope_of(options, loaded.config);
  const Files files =
      files_of(options.output.empty() ? (fs::path(loaded.config.output_dir) / "pruned").string()
                                      : options.output,
               loaded.file);
  refuse(options, loaded.config, files);
  const Experiment experiment = build_experiment(loaded.config, loaded.file, registries);
  torch::set_num_threads(experiment.threads.compute);
  torch::manual_seed(static_cast<uint64_t>(experiment.config.seed));
  Pruning pruning(experiment, options, files);
  pruning.load();
  pruning.choose(scope);
  if (!options.quick) {
    pruning.compare_with_masked();
    pruning.write();
    pruning.read_again(registries);
  }
  pruning.evaluate_all();
  if (!options.quick) {
    pruning.write_reports();
  }
  return pruning.report();
}

}  // namespace ssdq
