#pragma once

#include "ssdq/engine/hook.h"
#include "ssdq/utils/timer.h"

namespace ssdq {

// Puts "time", seconds of a whole step.
class IterationTimer : public Hook {
 public:
  std::string name() const override { return "iteration_timer"; }
  void before_step(Trainer& trainer) override;
  void after_step(Trainer& trainer) override;

 private:
  Timer clock_;
};

}  // namespace ssdq
