#include "ssdq/engine/prune.h"

#include <filesystem>
#include <optional>
#include <utility>

#include <torch/torch.h>

#include "ssdq/data/loader.h"
#include "ssdq/engine/calibration.h"
#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/engine/model_cost.h"
#include "ssdq/engine/output_difference.h"
#include "ssdq/engine/prune_files.h"
#include "ssdq/engine/pruned_config.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/graph/features.h"
#include "ssdq/modeling/state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/timer.h"
#include "ssdq/visualization/image_io.h"

namespace ssdq {
namespace {

constexpr int kImages = 4;

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

double difference(Detector& a, Detector& b, const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  return output_difference(a->forward(images), b->forward(images));
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

void switch_quantizers_off(Detector& detector) {
  for (const auto& one : quantizers_of(*detector)) {
    one.quantizer->set_mode({/*quantize=*/false, /*observe=*/false});
  }
}

// The pruning of one detector, from step to step.
class Pruning {
 public:
  Pruning(const Pruner& pruner, const PruneJob& job, const PrunePlan& plan, PruneFiles files)
      : pruner_(pruner),
        job_(job),
        plan_(plan),
        files_(std::move(files)),
        pruned_(pruner.prune(plan)) {
    pruned_.experiment.config = written_config();
    report_.config_file = pruner.experiment().config_file;
    report_.weights = job.options.weights;
    report_.scope = to_string(pruner.scope());
    report_.importance = job.options.importance;
    report_.compensation = to_string(job.options.compensation);
    report_.percent = plan.percent;
    report_.rounding = job.options.rounding;
    report_.threshold = plan.threshold;
    report_.levels_before = static_cast<int>(pruner.experiment().graph.features.size());
    report_.levels_after = plan.levels;
    report_.carriers = plan.carriers;
    report_.threads = pruner.experiment().threads.compute;
    report_.residuals = pruned_.residuals;
    report_.before.cost = cost(pruner.experiment().graph, pruner.widths());
    report_.after.cost = cost(plan.compact, pruner.widths());
  }

  void compare_with_masked() {
    const Images images = check_images(on_cpu(plan_.whole));
    Detector masked = detector_with(on_cpu(plan_.whole), pruned_.compensated);
    Detector compact = detector_with(on_cpu(pruned_.experiment), pruned_.compact);
    if (!quantizers_of(*masked).empty()) {
      pruner_.fit_scales(plan_, pruned_);
      Detector fitted = detector_with(on_cpu(pruned_.experiment), pruned_.compact);
      report_.quantized_difference = difference(masked, fitted, images.tensor);
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

  void reestimate() {
    const auto dataset = open_datasets(pruned_.experiment, pruned_.experiment.config.datasets.train,
                                       /*training=*/true);
    Detector detector = detector_with(pruned_.experiment, pruned_.compact);
    reestimate_batch_norm(*detector, pruned_.experiment, *dataset, 0, job_.bn_batches);
    not_reestimated_ = std::exchange(pruned_.compact, cpu_copy(*detector));
  }

  void measure() {
    Detector before = detector_with(pruner_.experiment(), pruner_.original());
    Detector after = detector_with(pruned_.experiment, pruned_.compact);
    const auto ms = measure_networks(
        {{before, &pruner_.experiment()}, {after, &pruned_.experiment}}, kTimedPasses);
    report_.before.milliseconds = ms[0];
    report_.after.milliseconds = ms[1];
    report_.before.node_ms = measure_nodes(before, pruner_.experiment(), kTimedPasses);
    report_.after.node_ms = measure_nodes(after, pruned_.experiment, kTimedPasses);
  }

  void evaluate_all() {
    if (pruner_.experiment().config.datasets.test.empty()) {
      return;
    }
    evaluate_one("original", pruner_.experiment(), pruner_.original());
    evaluate_one("masked", plan_.whole, pruned_.masked);
    if (job_.options.compensation != Compensation::kNone) {
      evaluate_one("compensated", plan_.whole, pruned_.compensated);
    }
    if (!job_.quick) {
      evaluate_one("compact", pruned_.experiment,
                   not_reestimated_ ? *not_reestimated_ : pruned_.compact);
      if (not_reestimated_) {
        evaluate_one("re-estimated", pruned_.experiment, pruned_.compact);
      }
    }
  }

  void write(Registries& registries) {
    write_verified(files_, {pruned_.experiment, pruned_.compact, pruner_.class_names()}, images_,
                   job_.verifier, registries);
  }

  void write_reports() {
    report_.files = files_.all();
    write_image(files_.chart, kept_channels_chart(report_));
    write_file_atomically(files_.json, prune_report_json(report_));
    write_file_atomically(files_.markdown, prune_report_text(report_, TableStyle::kMarkdown));
  }

  const PruneReport& report() const { return report_; }

 private:
  Config written_config() const {
    Config config =
        pruned_config(plan_.whole, files_.folder, file_name(files_.cfg), file_name(files_.weights));
    config.model.backbone.out_channels.clear();
    for (const Shape& shape : feature_shapes(plan_.compact)) {
      config.model.backbone.out_channels.push_back(shape.channels);
    }
    return config;
  }

  void evaluate_one(const char* name, const Experiment& experiment, const State& values) {
    log_info("evaluating the {} network", name);
    Detector detector = detector_with(experiment, values);
    report_.evaluations.emplace_back(name, evaluate(detector, experiment));
  }

  const Pruner& pruner_;
  const PruneJob& job_;
  const PrunePlan& plan_;
  PruneFiles files_;
  PrunedDetector pruned_;
  std::optional<State> not_reestimated_;
  torch::Tensor images_;
  PruneReport report_;
};

}  // namespace

PruneReport run_pruning(const LoadedConfig& loaded, const PruneJob& job, Registries& registries) {
  const Config& config = loaded.config;
  const PruneFiles files =
      prune_files(job.output.empty() ? default_prune_folder(config) : job.output, loaded.file);
  if (job.quick) {
    SSDQ_CHECK_CONFIG(!config.datasets.test.empty(),
                      "--quick evaluates masks, but DATASETS.TEST is empty");
  } else {
    if (!job.force) refuse_existing(files.all());
    SSDQ_CHECK_CONFIG(job.bn_batches == 0 || !config.datasets.train.empty(),
                      "--bn-batches reads training images, but DATASETS.TRAIN is empty");
    check_writable_folder(files.folder);
  }
  const Pruner pruner(experiment_to_prune(loaded, registries), job.options);
  const Timer clock;
  const PrunePlan plan = pruner.plan_for_target();
  Pruning pruning(pruner, job, plan, files);
  log_info("channels removed in {:.2f} s", clock.seconds());
  for (const auto& group : plan.without_carrier) {
    log_info("compensated by constants only: {}", group);
  }
  if (!job.quick) {
    pruning.compare_with_masked();
    if (job.bn_batches > 0) {
      pruning.reestimate();
    }
    pruning.write(registries);
    pruning.measure();
  }
  pruning.evaluate_all();
  if (!job.quick) {
    pruning.write_reports();
  }
  return pruning.report();
}

}  // namespace ssdq
