#pragma once

#include <string>
#include <vector>

#include "ssdq/checkpoint/state.h"
#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/graph/cost.h"
#include "ssdq/modeling/detector.h"
#include "ssdq/pruning/channel_groups.h"
#include "ssdq/pruning/compensation.h"
#include "ssdq/pruning/selection.h"

namespace ssdq {

// What a pruned detector shall meet.
enum class PruneTarget { kPercent, kFlops, kParameters, kLatency };

// Of removed channels' constants: kConstant, what a bias can carry (compensate()); kExact, one
// merged channel where that takes part of it only (merge_constants()), else as kConstant.
enum class Compensation { kNone, kConstant, kExact };

const char* to_string(Compensation compensation);

struct PruneOptions {
  std::string weights;  // checkpoint
  std::string scope;    // normal, shortcut, all; empty: PRUNE.TYPE, normal when that is none
  std::string importance = "bn";  // registered
  int score_batches = 16;         // of training images, for importances that read them
  PruneTarget target = PruneTarget::kPercent;
  // kPercent: share of the channels to remove. kFlops, kParameters: up to 1 the share that stays,
  // above it a count (FLOPs are twice the MACs). kLatency: milliseconds of one image.
  double target_value = 0;
  CountRounding rounding;
  bool drop_levels = false;
  Compensation compensation = Compensation::kConstant;
};

// Which channels stay.
struct PrunePlan {
  double percent = 0;                        // of the channels in scope that are removed
  double threshold = 0;                      // the least score that is kept for its own sake
  int levels = 0;                            // that remain
  int carriers = 0;                          // channels that stay to carry merged constants
  std::vector<std::string> without_carrier;  // groups that kExact cannot serve, with the reason
  Experiment whole;                          // without the levels that are dropped
  State values;                              // of its network
  State values_with_carriers;                // empty without kExact
  ChannelUnits units;                        // of its network
  KeptUnits selected;                        // by their scores
  KeptUnits kept;                            // those and the carriers
  Graph compact;
};

struct PrunedDetector {
  Experiment experiment;  // compact
  State masked;           // of the plan's whole network, channels 0 but nothing compensated
  State compensated;      // the same with compensation
  State compact;
  std::vector<CompensationResidual> residuals;
};

// Checks the configuration and builds its experiment, with LibTorch's threads and seed set to it.
Experiment experiment_to_prune(const LoadedConfig& loaded, Registries& registries);

// A trained detector and the scores of its channels.
class Pruner {
 public:
  // Reads the weights and scores the channels. Throws ConfigError when no channel is in scope.
  Pruner(const Experiment& experiment, const PruneOptions& options);

  const Experiment& experiment() const { return experiment_; }
  const State& original() const { return original_; }
  const std::string& class_names() const { return class_names_; }  // one a line
  PruneScope scope() const { return scope_; }
  const WidthPlan& widths() const { return widths_; }

  // Throws ConfigError for a percent outside [0, 1).
  PrunePlan plan(double percent) const;

  // The plan that comes nearest to the options' target. Throws ConfigError when that is more than
  // 2 % away from it.
  PrunePlan plan_for_target() const;

  PrunedDetector prune(const PrunePlan& plan) const;

  // Gives the compact network what its quantizers ask for: see rescale_statistics(). Warns of what
  // remains. Nothing without quantizers.
  void fit_scales(const PrunePlan& plan, PrunedDetector& pruned) const;

 private:
  PrunePlan plan_at(size_t place) const;
  void drop_levels(PrunePlan& plan, double removed) const;
  double measured(const PrunePlan& plan) const;

  Experiment experiment_;
  PruneOptions options_;
  PruneScope scope_;
  State original_;
  std::string class_names_;
  WidthPlan widths_;
  ChannelUnits units_;
  std::vector<ChannelGroup> groups_;
  std::vector<double> ranks_;   // of the scores, by unit
  std::vector<double> sorted_;  // scores
};

// In evaluation mode, on the experiment's device.
Detector detector_with(const Experiment& experiment, const State& values);

Experiment on_cpu(Experiment experiment);

}  // namespace ssdq
