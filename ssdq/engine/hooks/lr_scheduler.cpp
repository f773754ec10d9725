#include "ssdq/engine/hooks/lr_scheduler.h"

#include <utility>

#include "ssdq/engine/trainer.h"
#include "ssdq/solver/lr_schedule.h"
#include "ssdq/solver/optimizer.h"

namespace ssdq {

LrScheduler::LrScheduler(SolverConfig solver, std::shared_ptr<torch::optim::Optimizer> optimizer)
    : solver_(std::move(solver)), optimizer_(std::move(optimizer)) {}

void LrScheduler::before_step(Trainer& trainer) {
  const double lr = solver_.lr * lr_factor(trainer.iteration(), solver_);
  set_learning_rate(*optimizer_, lr);
  trainer.events().put("lr", lr, /*smooth=*/false);
}

}  // namespace ssdq
