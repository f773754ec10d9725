#pragma once

#include <cstdint>

#include "ssdq/config/config.h"

namespace ssdq {

// The configuration for `ranks` processes when SOLVER.REFERENCE_WORLD_SIZE says that it is meant
// for others: with N times as many, and so N times the images in a step, SOLVER.LR is N times as
// large (Goyal et al., 2017, arXiv:1706.02677), and whatever counts iterations (MAX_ITER, LR_STEPS,
// WARMUP_ITERS, CHECKPOINT_PERIOD, TEST.EVAL_PERIOD, PRUNE.SR_WARMUP_ITERS and the schedule of
// QUANTIZATION) is divided by N, rounded, at least 1 where it was not 0. REFERENCE_WORLD_SIZE is
// then `ranks`.
Config for_world_size(Config config, int ranks);

// What `iterations` of the run that had the configuration `before` are in one of `now`: times the
// ranks before, divided by those now, rounded, where both follow REFERENCE_WORLD_SIZE; so many
// images, then, and as much of the schedule.
int64_t iterations_in(const Config& now, const Config& before, int64_t iterations);

}  // namespace ssdq
