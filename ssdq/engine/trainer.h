#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ssdq/engine/hook.h"
#include "ssdq/utils/event_storage.h"

namespace ssdq {

// The training loop: run_step() between hooks, nothing else. What a step is, a subclass says.
class Trainer {
 public:
  virtual ~Trainer() = default;

  // Throws Error when a hook of that name is there already.
  void add_hook(std::unique_ptr<Hook> hook);

  // Runs iterations start, start + 1, ... end - 1. When a step or a hook throws, after_train still
  // runs for each hook and the first exception is the one that leaves.
  void train(int64_t start, int64_t end);

  int64_t iteration() const { return iteration_; }  // of the step that runs or comes next
  int64_t max_iter() const { return max_iter_; }
  bool finished() const { return iteration_ >= max_iter_; }

  // Ends train() after the step that runs; safe from any thread.
  void request_stop() { stop_requested_ = true; }
  bool stopped() const { return stop_requested_; }
  bool failed() const { return failed_; }  // a step or a hook has thrown

  // Stamped with iteration() + 1, the steps completed once the running one has passed.
  EventStorage& events() { return events_; }

  std::map<std::string, State> hook_states() const;  // by hook name
  // States of hooks that are no longer there are ignored; hooks without a state start afresh.
  void load_hook_states(const std::map<std::string, State>& states);

  std::vector<std::string> hook_names() const;

 protected:
  // Runs before the hooks of a step, which may change what it has set.
  virtual void prepare_step() {}
  virtual void run_step() = 0;
  // Whether train() ends after this step.
  virtual bool stops() const { return stop_requested_; }

  // For run_step(), between the backward pass and the optimizer's step.
  void after_backward();

 private:
  void call(void (Hook::*stage)(Trainer&));
  void call_after_failure();

  std::vector<std::unique_ptr<Hook>> hooks_;
  EventStorage events_;
  int64_t iteration_ = 0;
  int64_t max_iter_ = 0;
  std::atomic<bool> stop_requested_{false};
  bool failed_ = false;
};

}  // namespace ssdq
