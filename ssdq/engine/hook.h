#pragma once

#include <string>

#include "ssdq/checkpoint/state.h"

namespace ssdq {

class Trainer;

// Something that happens beside the training steps. Hooks run in the order in which they were
// added.
class Hook {
 public:
  virtual ~Hook() = default;

  virtual std::string name() const = 0;  // unique in a trainer; key of its state in the checkpoint
  virtual void before_train(Trainer&) {}
  virtual void before_step(Trainer&) {}     // cheap by contract: timers live here
  virtual void after_backward(Trainer&) {}  // gradients exist and are not yet applied
  virtual void after_step(Trainer&) {}
  virtual void after_train(Trainer&) {
  }  // also after a failure or a stop; Trainer::finished() tells

  // What a checkpoint must carry for an exact resume.
  virtual State state() const { return {}; }
  virtual void load_state(const State&) {}
};

}  // namespace ssdq
