#include "ssdq/solver/lr_schedule.h"

#include <algorithm>
#include <cmath>

namespace ssdq {
namespace {

double cosine(int64_t iteration, const SolverConfig& solver) {
  constexpr double kPi = 3.14159265358979323846;
  const auto done = static_cast<double>(std::max<int64_t>(0, iteration - solver.warmup_iters));
  const auto span = static_cast<double>(solver.max_iter - solver.warmup_iters);
  const double progress = span > 0 ? std::min(1.0, done / span) : 0.0;
  return (1 + std::cos(kPi * progress)) / 2;
}

double multi_step(int64_t iteration, const SolverConfig& solver) {
  const auto passed = std::count_if(solver.lr_steps.begin(), solver.lr_steps.end(),
                                    [&](int64_t step) { return step <= iteration; });
  return std::pow(solver.gamma, static_cast<double>(passed));
}

}  // namespace

double lr_factor(int64_t iteration, const SolverConfig& solver) {
  const double factor =
      solver.schedule == "cosine" ? cosine(iteration, solver) : multi_step(iteration, solver);
  if (iteration >= solver.warmup_iters) {
    return factor;
  }
  const double a = static_cast<double>(iteration) / static_cast<double>(solver.warmup_iters);
  return factor * (solver.warmup_factor * (1 - a) + a);
}

}  // namespace ssdq
