#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ssdq/checkpoint/checkpointer.h"
#include "ssdq/engine/hook.h"

namespace ssdq {

// Makes the checkpoint of the state after `iterations` whole steps.
using CheckpointMaker = std::function<Checkpoint(Trainer& trainer, int64_t iterations)>;

// Offers the checkpointer each value of a metric ("eval/mAP") that evaluation has put; it keeps the
// best.
class BestCheckpoint : public Hook {
 public:
  BestCheckpoint(std::shared_ptr<Checkpointer> checkpointer, CheckpointMaker make,
                 std::string metric);

  std::string name() const override { return "best_checkpoint"; }
  void after_step(Trainer& trainer) override;

 private:
  std::shared_ptr<Checkpointer> checkpointer_;
  CheckpointMaker make_;
  std::string metric_;
};

// Saves every `period` iterations (0: never), after the last, and when training is stopped by
// request. Comes before evaluation, so that a failure there loses nothing.
class PeriodicCheckpoint : public Hook {
 public:
  PeriodicCheckpoint(std::shared_ptr<Checkpointer> checkpointer, CheckpointMaker make,
                     int64_t period);

  std::string name() const override { return "periodic_checkpoint"; }
  void after_step(Trainer& trainer) override;
  void after_train(Trainer& trainer) override;

 private:
  std::shared_ptr<Checkpointer> checkpointer_;
  CheckpointMaker make_;
  int64_t period_;
};

}  // namespace ssdq
