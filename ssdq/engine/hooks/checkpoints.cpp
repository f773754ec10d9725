#include "ssdq/engine/hooks/checkpoints.h"

#include <utility>

#include "ssdq/engine/trainer.h"

namespace ssdq {

BestCheckpoint::BestCheckpoint(std::shared_ptr<Checkpointer> checkpointer, CheckpointMaker make,
                               std::string metric)
    : checkpointer_(std::move(checkpointer)), make_(std::move(make)), metric_(std::move(metric)) {}

void BestCheckpoint::after_step(Trainer& trainer) {
  const auto put = trainer.events().snapshot();
  const auto found = put.find(metric_);
  if (found != put.end()) {
    checkpointer_->save_best(metric_, found->second, make_(trainer, trainer.iteration() + 1));
  }
}

PeriodicCheckpoint::PeriodicCheckpoint(std::shared_ptr<Checkpointer> checkpointer,
                                       CheckpointMaker make, int64_t period)
    : checkpointer_(std::move(checkpointer)), make_(std::move(make)), period_(period) {}

void PeriodicCheckpoint::after_step(Trainer& trainer) {
  const int64_t done = trainer.iteration() + 1;
  if (done == trainer.max_iter()) {
    checkpointer_->save_final(make_(trainer, done));
  } else if (period_ > 0 && done % period_ == 0) {
    checkpointer_->save(make_(trainer, done));
  }
}

void PeriodicCheckpoint::after_train(Trainer& trainer) {
  if (!trainer.failed() && !trainer.finished()) {
    checkpointer_->save(make_(trainer, trainer.iteration()));
  }
}

}  // namespace ssdq
