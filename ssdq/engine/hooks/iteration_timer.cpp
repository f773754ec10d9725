#include "ssdq/engine/hooks/iteration_timer.h"

#include "ssdq/engine/trainer.h"

namespace ssdq {

void IterationTimer::before_step(Trainer&) { clock_.reset(); }

void IterationTimer::after_step(Trainer& trainer) {
  trainer.events().put("time", clock_.seconds());
}

}  // namespace ssdq
