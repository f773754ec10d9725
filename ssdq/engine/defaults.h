#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ssdq/checkpoint/checkpointer.h"
#include "ssdq/data/loader.h"
#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/hooks/quantization_schedule.h"
#include "ssdq/engine/inference.h"
#include "ssdq/pruning/sparsity.h"
#include "ssdq/solver/ema.h"

namespace ssdq {

// A training run with its parts, in the order in which they must die.
struct TrainingRun {
  std::unique_ptr<Dataset> dataset;
  Detector detector{nullptr};
  std::shared_ptr<QuantizationSchedule> quantization;  // null when the detector is a float one
  PenalisedScales penalised;                           // of PRUNE.TYPE
  std::shared_ptr<torch::optim::Optimizer> optimizer;
  std::shared_ptr<Ema> ema;  // null when SOLVER.EMA is 0
  std::shared_ptr<Checkpointer> checkpointer;
  std::shared_ptr<std::vector<EvaluationResult>> last_results;
  std::unique_ptr<DetectionTrainer> trainer;
};

// Builds the detector (with its initial weights and ranges unless `resume`), optimizer, data and
// the default hooks, in this order: iteration_timer, lr_scheduler, quantization_schedule,
// sparsity, shared_statistics, ema, bn_reestimation, periodic_checkpoint, evaluation,
// best_checkpoint. The quantization's are there when the detector has quantizers, sparsity with a
// PRUNE.TYPE. A dry run ends with ema and writes nothing. `resume`: the folder's best checkpoint
// counts. `experiment` must outlive the run.
std::unique_ptr<TrainingRun> build_training(const Experiment& experiment, bool resume,
                                            bool dry_run);

// Starts the input pipeline at iteration 0, which is returned.
int64_t start_training(TrainingRun& run, const Experiment& experiment);

// Restores the newest checkpoint of OUTPUT_DIR and returns the iteration to go on from. Throws
// Error when there is none or it is of another network.
int64_t resume_training(TrainingRun& run, const Experiment& experiment);

// Adds the last hook, periodic_writer: console, metrics.jsonl and TensorBoard. What an earlier run
// wrote from `start` on is dropped.
void add_writers(TrainingRun& run, const Experiment& experiment, int64_t start);

// Prints each table to the log.
void log_results(const std::vector<EvaluationResult>& results);

// Appends one line with the metrics to OUTPUT_DIR/metrics.jsonl, for --eval-only.
void append_metrics(const std::string& output_dir, const std::vector<EvaluationResult>& results);

}  // namespace ssdq
