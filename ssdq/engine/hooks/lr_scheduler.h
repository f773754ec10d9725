#pragma once

#include <memory>

#include <torch/optim/optimizer.h>

#include "ssdq/config/config.h"
#include "ssdq/engine/hook.h"

namespace ssdq {

// Sets the learning rate of each iteration from the pure schedule of solver/lr_schedule.h, so it
// has no state.
class LrScheduler : public Hook {
 public:
  LrScheduler(SolverConfig solver, std::shared_ptr<torch::optim::Optimizer> optimizer);

  std::string name() const override { return "lr_scheduler"; }
  void before_step(Trainer& trainer) override;

 private:
  SolverConfig solver_;
  std::shared_ptr<torch::optim::Optimizer> optimizer_;
};

}  // namespace ssdq
