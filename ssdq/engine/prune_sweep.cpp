#include <filesystem>
#include <string>
#include <utility>

#include <torch/torch.h>

#include "ssdq/engine/inference.h"
#include "ssdq/engine/model_cost.h"
#include "ssdq/engine/prune.h"
#include "ssdq/engine/prune_files.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/log.h"
#include "ssdq/visualization/image_io.h"

namespace ssdq {
namespace {

// The first metric on the first of DATASETS.TEST.
std::pair<std::string, double> main_metric(const Experiment& experiment, const State& values) {
  Detector detector = detector_with(experiment, values);
  return evaluate(detector, experiment).front().table.metrics.front();
}

SweepRow row_of(double percent, const Experiment& experiment, const State& values,
                const WidthPlan& widths) {
  SweepRow row;
  row.percent = percent;
  const Cost of_network = cost(experiment.graph, widths);
  row.params = of_network.params;
  row.macs = of_network.macs;
  row.weight_bytes = of_network.weight_bytes;
  Detector detector = detector_with(experiment, values);
  row.milliseconds = measure_networks({{detector, &experiment}}, kTimedPasses).front();
  return row;
}

}  // namespace

SweepReport run_prune_sweep(const LoadedConfig& loaded, const PruneJob& job,
                            const std::vector<double>& percents, Registries& registries) {
  SSDQ_CHECK_CONFIG(!loaded.config.datasets.test.empty(),
                    "a sweep evaluates networks, but DATASETS.TEST is empty");
  const std::filesystem::path folder =
      job.output.empty() ? default_prune_folder(loaded.config) : job.output;
  const std::string table = folder / "sweep.md", json = folder / "sweep.json",
                    chart = folder / "sweep.png";
  if (!job.force) refuse_existing({table, json, chart});
  check_writable_folder(folder.string());
  const Pruner pruner(experiment_to_prune(loaded, registries), job.options);
  const Experiment& experiment = pruner.experiment();
  SweepReport report;
  report.config_file = loaded.file;
  report.weights = job.options.weights;
  report.scope = to_string(pruner.scope());
  report.importance = job.options.importance;
  report.dataset = experiment.config.datasets.test.front();
  report.original = row_of(0, experiment, pruner.original(), pruner.widths());
  const auto original = main_metric(experiment, pruner.original());
  report.metric = original.first;
  report.original.compact = original.second;
  for (const double percent : percents) {
    log_info("pruning by {:.4g} %", 100 * percent);
    const PrunePlan plan = pruner.plan(percent);
    PrunedDetector pruned = pruner.prune(plan);
    pruner.fit_scales(plan, pruned);
    SweepRow row = row_of(percent, pruned.experiment, pruned.compact, pruner.widths());
    row.masked = main_metric(plan.whole, pruned.masked).second;
    if (job.options.compensation != Compensation::kNone) {
      row.compensated = main_metric(plan.whole, pruned.compensated).second;
    }
    row.compact = main_metric(pruned.experiment, pruned.compact).second;
    report.rows.push_back(row);
  }
  const cv::Mat picture = sweep_chart(report);
  make_directories(folder.string());
  write_file_atomically(table, sweep_report_text(report, TableStyle::kMarkdown));
  write_file_atomically(json, sweep_report_json(report));
  write_image(chart, picture);
  return report;
}

}  // namespace ssdq
