#include "ssdq/engine/trainer.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"

namespace ssdq {

void Trainer::add_hook(std::unique_ptr<Hook> hook) {
  const auto same = [&](const auto& other) { return other->name() == hook->name(); };
  SSDQ_CHECK(std::none_of(hooks_.begin(), hooks_.end(), same),
             "trainer: there is a hook '{}' already", hook->name());
  hooks_.push_back(std::move(hook));
}

void Trainer::train(int64_t start, int64_t end) {
  iteration_ = start;
  max_iter_ = end;
  try {
    call(&Hook::before_train);
    while (iteration_ < max_iter_ && !stops()) {
      events_.set_iteration(iteration_ + 1);
      prepare_step();
      call(&Hook::before_step);
      run_step();
      call(&Hook::after_step);
      ++iteration_;
    }
  } catch (...) {
    call_after_failure();
    throw;
  }
  call(&Hook::after_train);
}

void Trainer::after_backward() { call(&Hook::after_backward); }

void Trainer::call(void (Hook::*stage)(Trainer&)) {
  for (const auto& hook : hooks_) {
    (hook.get()->*stage)(*this);
  }
}

void Trainer::call_after_failure() {
  failed_ = true;
  for (const auto& hook : hooks_) {
    try {
      hook->after_train(*this);
    } catch (const std::exception& second) {
      log_warning("after the failure below, hook '{}' failed too: {}", hook->name(), second.what());
    }
  }
}

std::map<std::string, State> Trainer::hook_states() const {
  std::map<std::string, State> states;
  for (const auto& hook : hooks_) {
    if (State state = hook->state(); !state.empty()) {
      states.emplace(hook->name(), std::move(state));
    }
  }
  return states;
}

void Trainer::load_hook_states(const std::map<std::string, State>& states) {
  for (const auto& hook : hooks_) {
    if (const auto found = states.find(hook->name()); found != states.end()) {
      hook->load_state(found->second);
    }
  }
}

std::vector<std::string> Trainer::hook_names() const {
  std::vector<std::string> names;
  for (const auto& hook : hooks_) {
    names.push_back(hook->name());
  }
  return names;
}

}  // namespace ssdq
