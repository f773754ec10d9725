#pragma once

#include <cstdint>
#include <string>

#include "ssdq/engine/hook.h"
#include "ssdq/pruning/penalty.h"
#include "ssdq/pruning/sparsity.h"
#include "ssdq/utils/event_storage.h"

namespace ssdq {

struct SparsityOptions {
  SparsityRate rate;
  PenaltyGradient penalty;
  int64_t report_period = 1;
  int64_t picture_period = 0;  // 0: after the last step only
  std::string folder;          // of the pictures; empty: none
};

// Trains for pruning: adds the penalty on batch-norm scales to each step's gradients (before they
// are clipped). It keeps nothing from step to step.
//
// With each `report_period`-th step and the last it reports SparsityStatus of the trained scales
// (not of their averages): "sparsity/rate", "sparsity/near_zero", and "sparsity/threshold_50",
// "sparsity/below_50" and so on. With each `picture_period`-th and the last it draws histograms of
// |gamma| by channel group, with the threshold of 50 %, as image "sparsity/scales" and to
// FOLDER/scales_ITERATION.png; none while a scale is not finite.
class Sparsity : public Hook {
 public:
  // `layout` is that of the scales.
  Sparsity(PenalisedScales scales, ScaleLayout layout, SparsityOptions options);

  std::string name() const override { return "sparsity"; }
  void after_backward(Trainer& trainer) override;
  void after_step(Trainer& trainer) override;

 private:
  void report(Trainer& trainer) const;
  void draw(Trainer& trainer) const;

  PenalisedScales scales_;
  ScaleLayout layout_;
  SparsityOptions options_;
};

}  // namespace ssdq
