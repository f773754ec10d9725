#include "ssdq/engine/hooks/evaluation.h"

#include "ssdq/engine/trainer.h"

namespace ssdq {

EvalHook::EvalHook(int64_t period, std::function<Metrics(Trainer&)> evaluate)
    : period_(period), evaluate_(std::move(evaluate)) {}

void EvalHook::after_step(Trainer& trainer) {
  const int64_t done = trainer.iteration() + 1;
  const bool due = period_ > 0 && done % period_ == 0;
  if (!due && done != trainer.max_iter()) {
    return;
  }
  for (const auto& [metric, value] : evaluate_(trainer)) {
    trainer.events().put(metric, value, /*smooth=*/false);
  }
}

}  // namespace ssdq
