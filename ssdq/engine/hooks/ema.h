#pragma once

#include <memory>
#include <string>

#include "ssdq/engine/hook.h"
#include "ssdq/solver/ema.h"

namespace ssdq {

// Follows the weights with their exponential moving average after each step.
class EmaHook : public Hook {
 public:
  explicit EmaHook(std::shared_ptr<Ema> ema);

  std::string name() const override { return "ema"; }
  void after_step(Trainer& trainer) override;
  State state() const override;
  void load_state(const State& state) override;

 private:
  std::shared_ptr<Ema> ema_;
};

}  // namespace ssdq
