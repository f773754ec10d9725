#include "ssdq/engine/pruner.h"

#include <cmath>
#include <utility>

#include <torch/torch.h>

#include "ssdq/config/validate.h"
#include "ssdq/engine/importances.h"
#include "ssdq/engine/levels.h"
#include "ssdq/engine/model_cost.h"
#include "ssdq/engine/prune_files.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/engine/weights.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/levels.h"
#include "ssdq/pruning/merged_constants.h"
#include "ssdq/pruning/nearest_place.h"
#include "ssdq/pruning/rescale.h"
#include "ssdq/pruning/surgery.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr double kTolerance = 0.02;  // of targets

PruneScope scope_of(const PruneOptions& options, const Config& config) {
  if (!options.scope.empty()) {
    return parse_prune_scope(options.scope);
  }
  return config.prune.type == "none" ? PruneScope::kNormal : parse_prune_scope(config.prune.type);
}

const char* quantity(PruneTarget target) {
  switch (target) {
    case PruneTarget::kFlops:
      return "FLOPs";
    case PruneTarget::kParameters:
      return "parameters";
    default:
      return "milliseconds";
  }
}

}  // namespace

const char* to_string(Compensation compensation) {
  switch (compensation) {
    case Compensation::kNone:
      return "none";
    case Compensation::kConstant:
      return "constant";
    default:
      return "exact";
  }
}

Experiment on_cpu(Experiment experiment) {
  experiment.device = torch::kCPU;
  return experiment;
}

Detector detector_with(const Experiment& experiment, const State& values) {
  Detector detector = build_detector(experiment);
  load_state_strict(*detector, values, "the state of the network");
  detector->eval();
  return detector;
}

Experiment experiment_to_prune(const LoadedConfig& loaded, Registries& registries) {
  validate(loaded.config, loaded.origins, known_names(registries));
  Experiment experiment = build_experiment(loaded.config, loaded.file, registries);
  torch::set_num_threads(experiment.threads.compute);
  torch::manual_seed(static_cast<uint64_t>(experiment.config.seed));
  return experiment;
}

Pruner::Pruner(const Experiment& experiment, const PruneOptions& options)
    : experiment_(experiment),
      options_(options),
      scope_(scope_of(options, experiment.config)),
      units_(channel_units(experiment.graph)),
      groups_(groups_in_scope(experiment.graph, units_, scope_)) {
  SSDQ_CHECK_CONFIG(!groups_.empty(),
                    "scope {}: the network has no channels that may be removed; try a wider one "
                    "(normal, shortcut, all)",
                    to_string(scope_));
  const auto method = experiment_.registries->importances.create(options_.importance);
  Detector detector = build_detector(experiment_);
  load_weights_and_ranges(detector, experiment_, options_.weights);
  original_ = cpu_copy(*detector);
  class_names_ = class_names_in(options_.weights);
  widths_ = code_widths(detector);
  detector->eval();
  const auto scores =
      method->scores({detector, experiment_, units_, groups_, options_.score_batches});
  SSDQ_CHECK(scores.size() == static_cast<size_t>(units_.count),
             "importance {}: gave {} scores, expected {}, one for each unit", options_.importance,
             scores.size(), units_.count);
  ranks_ = ranks_of(groups_, scores);
  sorted_ = sorted_scores(groups_, scores);
}

PrunePlan Pruner::plan(double percent) const {
  PrunePlan plan;
  plan.percent = percent;
  plan.threshold = threshold_at(sorted_, percent);
  plan.whole = experiment_;
  plan.units = units_;
  plan.levels = static_cast<int>(experiment_.graph.features.size());
  const auto removed = static_cast<double>(removed_count(sorted_.size(), percent));
  plan.kept = select_units(groups_, ranks_, removed, options_.rounding);
  plan.values = original_;
  if (options_.drop_levels) {
    drop_levels(plan, removed);
  }
  plan.selected = plan.kept;
  if (options_.compensation == Compensation::kExact) {
    Detector detector = detector_with(on_cpu(plan.whole), plan.values);
    auto merged = merge_constants(*detector, plan.units, plan.kept);
    plan.carriers = static_cast<int>(merged.carriers.size());
    plan.without_carrier = std::move(merged.left_out);
    plan.kept = std::move(merged.kept);
    plan.values_with_carriers = std::move(merged.state);
  }
  plan.compact = prune_graph(plan.whole.graph, plan.units, plan.kept);
  return plan;
}

void Pruner::drop_levels(PrunePlan& plan, double removed) const {
  const int keep = levels_to_keep(experiment_.graph, units_, groups_, ranks_, removed);
  if (keep == plan.levels) {
    return;
  }
  plan.levels = keep;
  plan.whole = first_levels(experiment_, keep);
  plan.units = channel_units(plan.whole.graph);
  plan.kept = kept_in_part(experiment_.graph, units_, plan.kept, plan.whole.graph, plan.units);
  plan.values = state_of_part(experiment_.graph, plan.whole.graph, original_);
}

PrunePlan Pruner::plan_at(size_t place) const {
  return plan((static_cast<double>(place) + 0.5) / static_cast<double>(sorted_.size()));
}

double Pruner::measured(const PrunePlan& plan) const {
  if (options_.target == PruneTarget::kLatency) {
    Experiment compact = plan.whole;
    compact.graph = plan.compact;
    Detector detector = build_detector(compact);
    return measure_networks({{detector, &compact}}, kTimedPasses).front();
  }
  const Cost of_plan = cost(plan.compact);
  return options_.target == PruneTarget::kFlops ? 2.0 * static_cast<double>(of_plan.macs)
                                                : static_cast<double>(of_plan.params);
}

PrunePlan Pruner::plan_for_target() const {
  if (options_.target == PruneTarget::kPercent) {
    return plan(options_.target_value);
  }
  const bool share = options_.target != PruneTarget::kLatency && options_.target_value <= 1;
  const double wanted = options_.target_value * (share ? measured(plan(0)) : 1);
  SSDQ_CHECK_CONFIG(wanted > 0 && std::isfinite(wanted),
                    "the target is {} {}; expected more than 0", wanted, quantity(options_.target));
  const auto [place, value] =
      nearest_place(sorted_.size(), wanted, [&](size_t at) { return measured(plan_at(at)); });
  SSDQ_CHECK_CONFIG(
      std::abs(value - wanted) <= kTolerance * wanted,
      "{:.6g} {} cannot be met within {:g} %: the nearest that scope {} {}reaches is {:.6g}; "
      "expected another target, scope or importance{}",
      wanted, quantity(options_.target), 100 * kTolerance, to_string(scope_),
      options_.rounding.regular ? "with regular counts " : "", value,
      options_.rounding.regular ? ", or a smaller --multiple" : "");
  log_info("{:.6g} {} wanted, {:.6g} reached by removing {:.4g} % of the channels in scope", wanted,
           quantity(options_.target), value,
           100 * static_cast<double>(place) / static_cast<double>(sorted_.size()));
  return plan_at(place);
}

PrunedDetector Pruner::prune(const PrunePlan& plan) const {
  const Graph& graph = plan.whole.graph;
  PrunedDetector pruned;
  pruned.masked = mask_state(graph, plan.units, plan.selected, plan.values);
  State values = plan.values_with_carriers.empty() ? plan.values : plan.values_with_carriers;
  if (options_.compensation != Compensation::kNone) {
    Detector detector = detector_with(on_cpu(plan.whole), values);
    auto compensated = compensate(*detector, plan.units, plan.kept);
    values = std::move(compensated.state);
    pruned.residuals = std::move(compensated.residuals);
  }
  pruned.compensated = mask_state(graph, plan.units, plan.kept, values);
  pruned.compact = prune_state(graph, plan.units, plan.kept, values);
  pruned.experiment = plan.whole;
  pruned.experiment.graph = plan.compact;
  pruned.experiment.graph_cfg = write_cfg(plan.compact);
  return pruned;
}

void Pruner::fit_scales(const PrunePlan& plan, PrunedDetector& pruned) const {
  Detector masked = detector_with(on_cpu(plan.whole), pruned.compensated);
  if (quantizers_of(*masked).empty()) {
    return;
  }
  Detector compact = detector_with(on_cpu(pruned.experiment), pruned.compact);
  const auto left = rescale_statistics(*masked, plan.units, plan.kept, *compact);
  if (!left.empty()) {
    log_warning(
        "the quantized weights of {} have another scale with fewer channels, and no batch norm to "
        "take it up; train the pruned network again",
        join(left, ", "));
  }
  pruned.compact = cpu_copy(*compact);
}

}  // namespace ssdq
