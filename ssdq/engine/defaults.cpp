#include "ssdq/engine/defaults.h"

#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <torch/torch.h>

#include "ssdq/config/reader.h"
#include "ssdq/config/writer.h"
#include "ssdq/distributed/agreement.h"
#include "ssdq/distributed/broadcast_state.h"
#include "ssdq/engine/calibration.h"
#include "ssdq/engine/hooks/bn_reestimation.h"
#include "ssdq/engine/hooks/checkpoints.h"
#include "ssdq/engine/hooks/ema.h"
#include "ssdq/engine/hooks/evaluation.h"
#include "ssdq/engine/hooks/iteration_timer.h"
#include "ssdq/engine/hooks/lr_scheduler.h"
#include "ssdq/engine/hooks/periodic_writer.h"
#include "ssdq/engine/hooks/shared_statistics.h"
#include "ssdq/engine/hooks/sparsity.h"
#include "ssdq/engine/loader_options.h"
#include "ssdq/engine/samples.h"
#include "ssdq/engine/weights.h"
#include "ssdq/engine/world_size.h"
#include "ssdq/evaluation/results.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/penalty.h"
#include "ssdq/solver/optimizer.h"
#include "ssdq/solver/optimizer_state.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/files.h"
#include "ssdq/utils/log.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/tensorboard_writer.h"

namespace ssdq {
namespace {

// The mean, over the test sets, of each table's first metric: what "best" means.
constexpr const char* kMainMetric = "eval/main";

CheckpointMaker checkpoint_maker(const TrainingRun& run, const Experiment& experiment) {
  const Detector detector = run.detector;
  const auto optimizer = run.optimizer;
  const auto ema = run.ema;
  const auto class_names = join(run.dataset->class_names(), "\n");
  return
      [detector, optimizer, ema, class_names, &experiment](Trainer& trainer, int64_t iterations) {
        Checkpoint checkpoint;
        checkpoint.model = state(*detector);
        checkpoint.optimizer = optimizer_state(*optimizer, *detector);
        checkpoint.hooks = trainer.hook_states();
        if (ema) {
          checkpoint.ema = ema->state();
          checkpoint.hooks.erase("ema");
        }
        checkpoint.iteration = iterations;
        checkpoint.config_yaml = to_yaml(experiment.config);
        checkpoint.graph_cfg = experiment.graph_cfg;
        checkpoint.extra["class_names"] = class_names;
        checkpoint.rng = rng_state();
        return checkpoint;
      };
}

// "mAP" and so on ("mAP/DATASET" when there are several); last the main metric.
EvalHook::Metrics metrics_of(const std::vector<EvaluationResult>& results) {
  EvalHook::Metrics metrics;
  double sum = 0;
  for (const auto& result : results) {
    const std::string suffix = results.size() > 1 ? "/" + result.dataset : "";
    for (const auto& [name, value] : result.table.metrics) {
      metrics.emplace_back("eval/" + name + suffix, value);
    }
    sum += result.table.metrics.front().second;
  }
  metrics.emplace_back(kMainMetric, sum / static_cast<double>(results.size()));
  return metrics;
}

EvalHook::Metrics evaluate_for_hook(const TrainingRun& run, const Experiment& experiment,
                                    Trainer& trainer) {
  std::optional<EmaScope> averages;
  if (run.ema) {
    averages.emplace(*run.ema);
  }
  Detector detector = run.detector;
  *run.last_results = evaluate(detector, experiment);
  log_results(*run.last_results);
  if (experiment.world.rank == 0) {
    put_sample_images(detector, experiment, trainer.events());
  }
  EvalHook::Metrics metrics = metrics_of(*run.last_results);
  // The best checkpoint is one of the network that the configuration asks for.
  if (run.quantization && !run.quantization->is_final(trainer.iteration())) {
    metrics.pop_back();
  }
  return metrics;
}

// The values that the final evaluation and the deployed network use: the averages where there are
// some.
void reestimate_for_hook(const TrainingRun& run, const Experiment& experiment, Trainer& trainer) {
  std::optional<EmaScope> averages;
  if (run.ema) {
    averages.emplace(*run.ema);
  }
  Detector detector = run.detector;
  reestimate_batch_norm(*detector, experiment, *run.dataset, trainer.iteration() + 1,
                        experiment.config.quantization.bn_reestimate_batches);
  if (experiment.ranks) {
    broadcast_state(*experiment.ranks->group, *detector);  // GPUs round sums as they come
  }
}

Facts facts_of(const Dataset& dataset) {
  std::string annotations;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Record record = dataset.record(i);
    annotations += fmt::format("{} {}\n", record.image_id, record.objects.size());
  }
  return {{"training set", fmt::format("{}: {} images, annotations {:016x}", dataset.name(),
                                       dataset.size(), std::hash<std::string>{}(annotations))}};
}

void prepare_weights(TrainingRun& run, const Experiment& experiment) {
  const auto missing = load_initial_weights(run.detector, experiment);
  if (!run.quantization) {
    return;
  }
  run.quantization->set_widths(0);
  if (const int batches = experiment.config.quantization.calibration_batches; batches > 0) {
    calibrate(*run.detector, experiment, *run.dataset, owners_of(*run.detector, missing), batches);
  }
}

PenalisedScales penalised_for(const GraphModuleImpl& network, const PruneConfig& prune) {
  if (prune.type == "none") {
    return {};
  }
  auto scales = penalised_scales(network, parse_prune_scope(prune.type));
  SSDQ_CHECK_CONFIG(!scales.empty(),
                    "PRUNE.TYPE is {}, but no batch norm of the network is in its scope; expected "
                    "a network with batch norm, or a wider scope (normal, shortcut, all)",
                    prune.type);
  log_info(
      "sparsity training: {} batch norms, SR {} ({}), penalty {}, no weight decay on their scales",
      scales.size(), prune.sr, prune.sr_schedule, prune.penalty);
  return scales;
}

PenaltyGradient penalty_of(const PruneConfig& prune, const ScaleLayout& layout,
                           const torch::Device& device) {
  if (prune.penalty == "polarized") return polarized_penalty(prune.polarization);
  if (prune.penalty == "group") return group_penalty(layout, device);
  return l1_penalty();
}

std::unique_ptr<Sparsity> sparsity_hook(const TrainingRun& run, const Config& config, bool writes) {
  const PruneConfig& prune = config.prune;
  ScaleLayout layout = scale_layout(*run.detector, parse_prune_scope(prune.type), run.penalised);
  SparsityOptions options;
  options.rate = {prune.sr, parse_sparsity_schedule(prune.sr_schedule), prune.sr_final,
                  prune.sr_warmup_iters, config.solver.max_iter};
  options.penalty = penalty_of(prune, layout, run.penalised.front().second.device());
  options.report_period = config.solver.log_period;
  options.picture_period = config.test.eval_period;
  options.folder = writes ? config.output_dir + "/sparsity" : "";
  return std::make_unique<Sparsity>(run.penalised, std::move(layout), std::move(options));
}

void add_default_hooks(TrainingRun& run, const Experiment& experiment, bool dry_run) {
  const SolverConfig& solver = experiment.config.solver;
  const bool writes = !dry_run && experiment.world.rank == 0;
  Trainer& trainer = *run.trainer;
  trainer.add_hook(std::make_unique<IterationTimer>());
  trainer.add_hook(std::make_unique<LrScheduler>(solver, run.optimizer));
  if (run.quantization) {
    trainer.add_hook(
        std::make_unique<QuantizationScheduleHook>(run.quantization, run.optimizer, run.ema));
  }
  if (!run.penalised.empty()) {
    trainer.add_hook(sparsity_hook(run, experiment.config, writes));
  }
  if (experiment.ranks && !experiment.config.distributed.sync_bn) {
    trainer.add_hook(std::make_unique<SharedStatistics>(experiment.ranks->group, run.detector));
  }
  if (run.ema) {
    trainer.add_hook(std::make_unique<EmaHook>(run.ema));
  }
  if (dry_run) {
    return;
  }
  if (run.quantization && experiment.config.quantization.bn_reestimate_batches > 0) {
    trainer.add_hook(std::make_unique<BnReestimation>(
        [&run, &experiment](Trainer& at) { reestimate_for_hook(run, experiment, at); }));
  }
  const auto make = checkpoint_maker(run, experiment);
  if (writes) {
    trainer.add_hook(
        std::make_unique<PeriodicCheckpoint>(run.checkpointer, make, solver.checkpoint_period));
  }
  if (!experiment.config.datasets.test.empty()) {
    trainer.add_hook(std::make_unique<EvalHook>(
        experiment.config.test.eval_period,
        [&run, &experiment](Trainer& at) { return evaluate_for_hook(run, experiment, at); }));
  }
  if (writes) {
    trainer.add_hook(std::make_unique<BestCheckpoint>(run.checkpointer, make, kMainMetric));
  }
}

}  // namespace

std::unique_ptr<TrainingRun> build_training(const Experiment& experiment, bool resume,
                                            bool dry_run) {
  const SolverConfig& solver = experiment.config.solver;
  auto run = std::make_unique<TrainingRun>();
  run->dataset = open_datasets(experiment, experiment.config.datasets.train, /*training=*/true);
  run->detector = build_detector(experiment);
  if (!quantizers_of(*run->detector).empty()) {
    run->quantization =
        std::make_shared<QuantizationSchedule>(*run->detector, experiment.config.quantization);
  }
  if (!resume) {
    prepare_weights(*run, experiment);
  }
  if (experiment.ranks) {
    check_agreement(*experiment.ranks->group, facts_of(*run->dataset));
    if (!resume) {
      broadcast_state(*experiment.ranks->group, *run->detector);
    }
  }
  run->penalised = penalised_for(*run->detector, experiment.config.prune);
  run->optimizer = make_optimizer(*run->detector, solver, experiment.config.quantization.lr_factor,
                                  names_of(run->penalised));
  if (solver.ema > 0) {
    run->ema = std::make_shared<Ema>(run->detector.ptr(), solver.ema);
  }
  if (!dry_run && (resume || experiment.world.rank == 0)) {
    run->checkpointer = std::make_shared<Checkpointer>(experiment.config.output_dir,
                                                       solver.keep_checkpoints, resume);
  }
  run->last_results = std::make_shared<std::vector<EvaluationResult>>();
  run->trainer = std::make_unique<DetectionTrainer>(experiment, run->detector, run->optimizer);
  if (!experiment.config.distillation.config_file.empty()) {
    run->trainer->set_teacher(std::make_unique<Teacher>(experiment, run->dataset->class_names()));
  }
  add_default_hooks(*run, experiment, dry_run);
  return run;
}

int64_t start_training(TrainingRun& run, const Experiment& experiment) {
  run.trainer->set_loader(
      std::make_unique<TrainLoader>(*run.dataset, train_loader_options(experiment)));
  return 0;
}

int64_t resume_training(TrainingRun& run, const Experiment& experiment) {
  const auto path = run.checkpointer->latest();
  SSDQ_CHECK(path.has_value(), "{}: nothing to resume there; leave --resume out to start",
             experiment.config.output_dir);
  const Checkpoint checkpoint = load_checkpoint(*path);
  const Config before = parse_config(checkpoint.config_yaml, *path);
  const int64_t start = iterations_in(experiment.config, before, checkpoint.iteration);
  if (run.quantization && checkpoint.iteration > 0) {
    QuantizationSchedule(*run.detector, before.quantization)
        .set_widths(checkpoint.iteration - 1);  // those of the ranges in the file
  }
  load_state_strict(*run.detector, checkpoint.model, *path);
  load_optimizer_state(*run.optimizer, *run.detector, checkpoint.optimizer);
  if (run.ema) {
    run.ema->load_state(checkpoint.ema);
  }
  run.trainer->load_hook_states(checkpoint.hooks);
  set_rng_state(checkpoint.rng);
  run.trainer->set_loader(
      std::make_unique<TrainLoader>(*run.dataset, train_loader_options(experiment), start));
  if (experiment.ranks) {
    check_agreement(*experiment.ranks->group, {{"iteration to go on from", std::to_string(start)}});
    broadcast_state(*experiment.ranks->group, *run.detector);
  }
  log_info("resuming {} after {} iterations{}", *path, checkpoint.iteration,
           start == checkpoint.iteration
               ? ""
               : fmt::format(", which count as {} (SOLVER.REFERENCE_WORLD_SIZE was {} and is {})",
                             start, before.solver.reference_world_size,
                             experiment.config.solver.reference_world_size));
  return start;
}

void add_writers(TrainingRun& run, const Experiment& experiment, int64_t start) {
  const auto& dir = experiment.config.output_dir;
  make_directories(dir + "/tensorboard");
  // Events are stamped with the steps completed, so the first of this run is start + 1.
  std::vector<std::unique_ptr<EventWriter>> writers;
  writers.push_back(
      std::make_unique<ConsoleWriter>(Log::global(), experiment.config.solver.max_iter));
  writers.push_back(
      std::make_unique<JsonlWriter>(dir + "/metrics.jsonl", start == 0 ? 0 : start + 1));
  writers.push_back(
      std::make_unique<TensorBoardWriter>(dir + "/tensorboard", start == 0 ? 0 : start + 1));
  run.trainer->add_hook(
      std::make_unique<PeriodicWriter>(std::move(writers), experiment.config.solver.log_period));
}

void log_results(const std::vector<EvaluationResult>& results) {
  for (const auto& result : results) {
    log_info("{} on {}\n{}", result.table.title, result.dataset, to_text(result.table));
  }
}

void append_metrics(const std::string& output_dir, const std::vector<EvaluationResult>& results) {
  EventStorage events;
  for (const auto& [name, value] : metrics_of(results)) {
    events.put(name, value, /*smooth=*/false);
  }
  JsonlWriter writer(output_dir + "/metrics.jsonl", std::numeric_limits<int64_t>::max());
  writer.write(events);
  writer.close();
}

}  // namespace ssdq
