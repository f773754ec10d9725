#include "ssdq/engine/hooks/sparsity.h"

#include <utility>

#include "ssdq/engine/trainer.h"

namespace ssdq {

Sparsity::Sparsity(PenalisedScales scales, double rate, int64_t period)
    : scales_(std::move(scales)), rate_(rate), period_(period) {}

void Sparsity::after_backward(Trainer& trainer) {
  add_penalty(scales_, rate_);
  if ((trainer.iteration() + 1) % period_ == 0) {
    const SparsityStatus status = sparsity_status(scales_);
    trainer.events().put("sparsity/below", status.below, /*smooth=*/false);
    trainer.events().put("sparsity/middle", status.middle, /*smooth=*/false);
  }
}

}  // namespace ssdq
