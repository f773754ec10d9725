#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ssdq/checkpoint/state.h"

namespace ssdq {

// Exponential moving average of a module's parameters and floating-point buffers:
// average <- d average + (1 - d) value, d = min(decay, (1 + n) / (10 + n)) after n updates, so that
// the random start is forgotten early. Other buffers are copied.
class Ema {
 public:
  // Starts from the present values. `decay` lies in (0, 1).
  Ema(std::shared_ptr<torch::nn::Module> module, double decay);

  // Takes the module's present values in; after each optimizer step.
  void update();

  // Starts the averages of these tensors of the module again from their present values.
  void restart(const std::vector<torch::Tensor>& tensors);

  // Exchanges the module's values with the averages, in place and without copying; a second call
  // undoes it. The optimizer keeps its tensors.
  void swap();

  // The averages by name and "num_updates" (int64 scalar), sharing storage; not while swapped.
  State state() const;

  // Throws Error if a name is missing or a shape differs.
  void load_state(const State& source);

 private:
  std::shared_ptr<torch::nn::Module> module_;
  double decay_;
  int64_t num_updates_ = 0;
  State live_;      // the module's tensors
  State averages_;  // in the same order
};

// The averages are in the module while it lives.
class EmaScope {
 public:
  explicit EmaScope(Ema& ema) : ema_(ema) { ema_.swap(); }
  ~EmaScope() { ema_.swap(); }
  EmaScope(const EmaScope&) = delete;
  EmaScope& operator=(const EmaScope&) = delete;

 private:
  Ema& ema_;
};

}  // namespace ssdq
