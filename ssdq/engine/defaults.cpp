#include "ssdq/engine/defaults.h"

#include <limits>
#include <optional>
#include <utility>

#include <torch/torch.h>

#include "ssdq/config/writer.h"
#include "ssdq/data/box_policy.h"
#include "ssdq/detection/matcher.h"
#include "ssdq/engine/hooks/checkpoints.h"
#include "ssdq/engine/hooks/ema.h"
#include "ssdq/engine/hooks/evaluation.h"
#include "ssdq/engine/hooks/iteration_timer.h"
#include "ssdq/engine/hooks/lr_scheduler.h"
#include "ssdq/engine/hooks/periodic_writer.h"
#include "ssdq/engine/samples.h"
#include "ssdq/engine/weights.h"
#include "ssdq/evaluation/results.h"
#include "ssdq/modeling/state.h"
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

LoaderOptions train_loader_options(const Experiment& experiment) {
  const Config& config = experiment.config;
  LoaderOptions options;
  options.batch_size = config.solver.batch_size;
  options.image_size = config.input.image_size;
  options.mean = rgb_floats(config.input.pixel_mean);
  options.std = rgb_floats(config.input.pixel_std);
  options.augmentation = config.augmentation;
  options.seed = static_cast<uint64_t>(config.seed);
  options.num_workers = experiment.threads.data;
  options.prefetch = config.data_loader.prefetch;
  options.own_threads = experiment.threads.compute;
  options.num_priors = static_cast<int64_t>(experiment.priors.size());
  const BoxPolicy policy = parse_box_policy(config.datasets.bad_boxes);
  options.sanitize = [policy, classes = config.model.num_classes](const Record& record,
                                                                  Size2 size) {
    return sanitize(record, size, policy, classes).objects;
  };
  const BoxVariances variances{static_cast<float>(config.model.center_variance),
                               static_cast<float>(config.model.size_variance)};
  const auto matcher = std::make_shared<Matcher>(
      experiment.priors, static_cast<float>(config.model.threshold), variances);
  options.match = [matcher](const std::vector<Object>& objects) { return matcher->match(objects); };
  return options;
}

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

// "mAP" and so on ("mAP/DATASET" when there are several), and the main metric.
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
  put_sample_images(detector, experiment, trainer.events());
  return metrics_of(*run.last_results);
}

void add_default_hooks(TrainingRun& run, const Experiment& experiment, bool dry_run) {
  const SolverConfig& solver = experiment.config.solver;
  Trainer& trainer = *run.trainer;
  trainer.add_hook(std::make_unique<IterationTimer>());
  trainer.add_hook(std::make_unique<LrScheduler>(solver, run.optimizer));
  if (run.ema) {
    trainer.add_hook(std::make_unique<EmaHook>(run.ema));
  }
  if (dry_run) {
    return;
  }
  const auto make = checkpoint_maker(run, experiment);
  trainer.add_hook(
      std::make_unique<PeriodicCheckpoint>(run.checkpointer, make, solver.checkpoint_period));
  if (!experiment.config.datasets.test.empty()) {
    trainer.add_hook(std::make_unique<EvalHook>(
        experiment.config.test.eval_period,
        [&run, &experiment](Trainer& at) { return evaluate_for_hook(run, experiment, at); }));
  }
  trainer.add_hook(std::make_unique<BestCheckpoint>(run.checkpointer, make, kMainMetric));
}

}  // namespace

std::unique_ptr<TrainingRun> build_training(const Experiment& experiment, bool resume,
                                            bool dry_run) {
  const SolverConfig& solver = experiment.config.solver;
  SSDQ_CHECK_CONFIG(experiment.config.prune.type == "none",
                    "PRUNE.TYPE: sparsity training ('{}') is not part of this version; add the "
                    "override `PRUNE.TYPE none` to train without it",
                    experiment.config.prune.type);
  auto run = std::make_unique<TrainingRun>();
  run->dataset = open_datasets(experiment, experiment.config.datasets.train, /*training=*/true);
  run->detector = build_detector(experiment);
  if (!resume) {
    load_initial_weights(run->detector, experiment);
  }
  run->optimizer = make_optimizer(*run->detector, solver);
  if (solver.ema > 0) {
    run->ema = std::make_shared<Ema>(run->detector.ptr(), solver.ema);
  }
  if (!dry_run) {
    run->checkpointer = std::make_shared<Checkpointer>(experiment.config.output_dir,
                                                       solver.keep_checkpoints, resume);
  }
  run->last_results = std::make_shared<std::vector<EvaluationResult>>();
  run->trainer = std::make_unique<DetectionTrainer>(experiment, run->detector, run->optimizer);
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
  load_state_strict(*run.detector, checkpoint.model, *path);
  load_optimizer_state(*run.optimizer, *run.detector, checkpoint.optimizer);
  if (run.ema) {
    run.ema->load_state(checkpoint.ema);
  }
  run.trainer->load_hook_states(checkpoint.hooks);
  set_rng_state(checkpoint.rng);
  run.trainer->set_loader(std::make_unique<TrainLoader>(
      *run.dataset, train_loader_options(experiment), checkpoint.iteration));
  log_info("resuming {} after {} iterations", *path, checkpoint.iteration);
  return checkpoint.iteration;
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
