#include "ssdq/engine/world_size.h"

#include <algorithm>
#include <cmath>

namespace ssdq {

Config for_world_size(Config config, int ranks) {
  SolverConfig& solver = config.solver;
  if (solver.reference_world_size == 0 || solver.reference_world_size == ranks) {
    return config;
  }
  const double times = static_cast<double>(ranks) / solver.reference_world_size;
  const auto divide = [times](int64_t& iterations) {
    if (iterations > 0) {
      iterations = std::max<int64_t>(1, std::llround(static_cast<double>(iterations) / times));
    }
  };
  solver.reference_world_size = ranks;
  solver.lr *= times;
  divide(solver.max_iter);
  for (int64_t& step : solver.lr_steps) divide(step);
  divide(solver.warmup_iters);
  divide(solver.checkpoint_period);
  divide(config.test.eval_period);
  divide(config.prune.sr_warmup_iters);
  divide(config.quantization.start_iter);
  divide(config.quantization.stop_observing_iter);
  divide(config.quantization.freeze_bn_iter);
  for (WidthStage& stage : config.quantization.progressive) divide(stage.iteration);
  return config;
}

int64_t iterations_in(const Config& now, const Config& before, int64_t iterations) {
  const int ranks = now.solver.reference_world_size;
  const int ranks_before = before.solver.reference_world_size;
  if (ranks <= 0 || ranks_before <= 0) {
    return iterations;
  }
  return std::llround(static_cast<double>(iterations) * ranks_before / ranks);
}

}  // namespace ssdq
