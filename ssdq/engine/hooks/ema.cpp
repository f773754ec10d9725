#include "ssdq/engine/hooks/ema.h"

#include <utility>

#include "ssdq/engine/trainer.h"

namespace ssdq {

EmaHook::EmaHook(std::shared_ptr<Ema> ema) : ema_(std::move(ema)) {}

void EmaHook::after_step(Trainer&) { ema_->update(); }

State EmaHook::state() const { return ema_->state(); }

void EmaHook::load_state(const State& state) { ema_->load_state(state); }

}  // namespace ssdq
