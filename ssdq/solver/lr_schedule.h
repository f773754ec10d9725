#pragma once

#include <cstdint>

#include "ssdq/config/config.h"

namespace ssdq {

// Learning rate at `iteration` (from 0) as a fraction of SOLVER.LR.
//
// Warm-up, t < T_w: w (1 - a) + a with a = t / T_w, w = WARMUP_FACTOR, T_w = WARMUP_ITERS, times
// the schedule's factor:
// multi_step: GAMMA^(number of LR_STEPS <= t);
// cosine: 1 until T_w, then (1 + cos(pi (t - T_w) / (MAX_ITER - T_w))) / 2, 0 from MAX_ITER on.
double lr_factor(int64_t iteration, const SolverConfig& solver);

}  // namespace ssdq
