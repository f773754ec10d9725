#include "ssdq/engine/training.h"

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <torch/torch.h>
#include <torch/version.h>

#include "ssdq/checkpoint/checkpointer.h"
#include "ssdq/config/writer.h"
#include "ssdq/distributed/agreement.h"
#include "ssdq/distributed/ranks.h"
#include "ssdq/distributed/world.h"
#include "ssdq/engine/defaults.h"
#include "ssdq/engine/detection_trainer.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/inference.h"
#include "ssdq/engine/launch.h"
#include "ssdq/engine/quantization_table.h"
#include "ssdq/engine/signals.h"
#include "ssdq/engine/teacher.h"
#include "ssdq/engine/weights.h"
#include "ssdq/engine/world_size.h"
#include "ssdq/evaluation/results.h"
#include "ssdq/solver/optimizer.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/log.h"

namespace ssdq {
namespace {

void announce(const Experiment& experiment, const LoadedConfig& loaded) {
  const auto differing = differences(experiment.config);
  log_info("config {}; what differs from the defaults:\n{}", loaded.file, differing);
  log_info("{} nodes, {} levels, {} default boxes; device {}, {} compute and {} data threads",
           experiment.graph.nodes.size(), experiment.feature_maps.size(), experiment.priors.size(),
           experiment.device.str(), experiment.threads.compute, experiment.threads.data);
  if (experiment.world.size > 1) {
    const SolverConfig& solver = experiment.config.solver;
    log_info("{} ranks, {} images in a step, SOLVER.LR {:g}, {} iterations", experiment.world.size,
             experiment.world.size * solver.batch_size, solver.lr, solver.max_iter);
  }
}

// Connects the ranks and makes sure that they are of one run, before anything is written.
void meet_ranks(Experiment& experiment) {
  experiment.ranks =
      connect_ranks(experiment.world, experiment.config.distributed, experiment.device);
  if (!experiment.ranks) {
    return;
  }
  Config config = experiment.config;
  config.model.device.clear();
  check_agreement(*experiment.ranks->group, {{"configuration", to_yaml(config)},
                                             {"network", experiment.graph_cfg},
                                             {"LibTorch", std::to_string(TORCH_VERSION_MAJOR)}});
}

void prepare(const Experiment& experiment) {
  torch::set_num_threads(experiment.threads.compute);
  torch::manual_seed(static_cast<uint64_t>(experiment.config.seed));
}

// Of one process, so that ranks do not write over each other.
void open_output(const Experiment& experiment) {
  if (experiment.world.rank != 0) {
    return;
  }
  const auto& dir = experiment.config.output_dir;
  make_directories(dir);
  // The folder describes its run by itself: the network lies beside the configuration that names
  // it.
  Config resolved = experiment.config;
  resolved.model.backbone.cfg = "network.cfg";
  anchor_teacher(resolved.distillation, experiment.config_file);
  write_file_atomically(dir + "/network.cfg", experiment.graph_cfg);
  write_file_atomically(dir + "/config.yaml", to_yaml(resolved));
  Log::global().open_file(dir + "/log.txt");
}

int report_expected(const Experiment& experiment, const std::vector<EvaluationResult>& results) {
  int status = kExitOk;
  for (const auto& result : results) {
    for (const auto& sentence :
         check_expected(result.table, experiment.config.test.expected_results)) {
      log_error("{}: {}", result.dataset, sentence);
      status = kExitExpectedResults;
    }
  }
  return status;
}

int evaluate_only(const Experiment& experiment, const LoadedConfig& loaded) {
  Detector detector = build_detector(experiment);
  load_for_evaluation(detector, experiment, loaded.origins);
  open_output(experiment);
  const auto results = evaluate(detector, experiment);
  log_results(results);
  if (experiment.world.rank == 0) {
    append_metrics(experiment.config.output_dir, results);
  }
  return report_expected(experiment, results);
}

int print_quantization(const Experiment& experiment) {
  Detector detector = build_detector(experiment);
  load_initial_weights(detector, experiment);
  std::cout << quantization_table(experiment, detector);
  return kExitOk;
}

int dry_run(const Experiment& experiment) {
  auto run = build_training(experiment, /*resume=*/false, /*dry_run=*/true);
  run->trainer->train(start_training(*run, experiment), 1);
  log_info("dry run: one step passed; nothing was written");
  return kExitOk;
}

int train(const Experiment& experiment, bool resume) {
  open_output(experiment);
  auto run = build_training(experiment, resume, /*dry_run=*/false);
  const StopOnSignal signals(*run->trainer);
  const int64_t start =
      resume ? resume_training(*run, experiment) : start_training(*run, experiment);
  if (experiment.world.rank == 0) {
    add_writers(*run, experiment, start);
  }
  run->trainer->train(start, experiment.config.solver.max_iter);
  if (!run->trainer->finished()) {
    log_warning(
        "stopped by a signal after {} iterations; the checkpoint is in {}; --resume goes on from "
        "there",
        run->trainer->iteration(), experiment.config.output_dir);
    return kExitInterrupted;
  }
  return report_expected(experiment, *run->last_results);
}

}  // namespace

int run_training(const LoadedConfig& loaded, const TrainOptions& options, Registries& registries) {
  const World world = world_from_environment();
  const Config config = for_world_size(loaded.config, world.size);
  validate(config, loaded.origins, known_names(registries));
  Experiment experiment = build_experiment(config, loaded.file, registries, world);
  prepare(experiment);
  if (options.print_quantization) {
    return print_quantization(experiment);
  }
  if (world.rank != 0) {
    Log::global().set_level(LogLevel::kWarning);
  }
  announce(experiment, loaded);
  meet_ranks(experiment);
  if (options.eval_only) {
    return evaluate_only(experiment, loaded);
  }
  return options.dry_run ? dry_run(experiment) : train(experiment, options.resume);
}

}  // namespace ssdq
