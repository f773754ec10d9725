#include "ssdq/engine/hooks/bn_reestimation.h"

#include <utility>

#include "ssdq/engine/trainer.h"

namespace ssdq {

BnReestimation::BnReestimation(std::function<void(Trainer&)> reestimate)
    : reestimate_(std::move(reestimate)) {}

void BnReestimation::after_step(Trainer& trainer) {
  if (trainer.iteration() + 1 == trainer.max_iter()) {
    reestimate_(trainer);
  }
}

}  // namespace ssdq
