#pragma once

#include <cstdint>
#include <string>

#include "ssdq/engine/hook.h"
#include "ssdq/pruning/sparsity.h"

namespace ssdq {

// Trains for pruning: adds the penalty on batch-norm scales to each step's gradients (before they
// are clipped). With each `period`-th step it reports "sparsity/below" and "sparsity/middle"
// (SparsityStatus).
class Sparsity : public Hook {
 public:
  Sparsity(PenalisedScales scales, double rate, int64_t period);

  std::string name() const override { return "sparsity"; }
  void after_backward(Trainer& trainer) override;

 private:
  PenalisedScales scales_;
  double rate_;
  int64_t period_;
};

}  // namespace ssdq
