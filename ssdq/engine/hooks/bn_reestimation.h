#pragma once

#include <functional>
#include <string>

#include "ssdq/engine/hook.h"

namespace ssdq {

// Calls `reestimate` once, after the last step. Comes after ema and before what saves or evaluates
// the final network.
class BnReestimation : public Hook {
 public:
  explicit BnReestimation(std::function<void(Trainer&)> reestimate);

  std::string name() const override { return "bn_reestimation"; }
  void after_step(Trainer& trainer) override;

 private:
  std::function<void(Trainer&)> reestimate_;
};

}  // namespace ssdq
