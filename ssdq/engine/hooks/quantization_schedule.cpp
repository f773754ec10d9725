#include "ssdq/engine/hooks/quantization_schedule.h"

#include <algorithm>
#include <utility>

#include "ssdq/engine/trainer.h"
#include "ssdq/solver/optimizer_state.h"
#include "ssdq/structures/code_width.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/log.h"

namespace ssdq {
namespace {

bool reached(int64_t iteration, int64_t mark) { return mark >= 0 && iteration >= mark; }

}  // namespace

QuantizationSchedule::QuantizationSchedule(const torch::nn::Module& network,
                                           const QuantizationConfig& config)
    : config_(config), quantizers_(quantizers_of(network)), batch_norms_(batch_norms_of(network)) {
  for (const auto& one : quantizers_) {
    final_bits_.push_back(one.quantizer->spec().bits);
  }
  if (!config_.progressive.empty()) {
    const WidthStage& last = config_.progressive.back();
    SSDQ_CHECK_CONFIG(
        last.wbits <= config_.wbits && last.abits <= config_.abits,
        "QUANTIZATION.PROGRESSIVE ends at {}/{} bits, but WBITS/ABITS are {}/{}; add a last entry",
        last.wbits, last.abits, config_.wbits, config_.abits);
  }
}

QuantizationSchedule::Phase QuantizationSchedule::phase(int64_t iteration) const {
  Phase phase;
  phase.mode.quantize = iteration >= config_.start_iter;
  phase.mode.observe = !reached(iteration, config_.stop_observing_iter);
  phase.bn_frozen = reached(iteration, config_.freeze_bn_iter);
  return phase;
}

const WidthStage* QuantizationSchedule::stage(int64_t iteration) const {
  const WidthStage* found = config_.progressive.empty() ? nullptr : &config_.progressive.front();
  for (const WidthStage& one : config_.progressive) {
    found = one.iteration <= iteration ? &one : found;
  }
  return found;
}

bool QuantizationSchedule::is_final(int64_t iteration) const {
  return phase(iteration).mode.quantize &&
         (config_.progressive.empty() || stage(iteration) == &config_.progressive.back());
}

int QuantizationSchedule::stage_width(const NamedQuantizer& one, int64_t iteration) const {
  const WidthStage* now = stage(iteration);
  if (now == nullptr) {
    return 0;
  }
  return one.is_weight ? now->wbits : now->abits;
}

std::vector<QuantizerPtr> QuantizationSchedule::set_widths(int64_t iteration) {
  std::vector<QuantizerPtr> changed;
  for (size_t i = 0; i < quantizers_.size(); ++i) {
    const int floor = stage_width(quantizers_[i], iteration);
    const int bits = std::max(final_bits_[i], floor);
    QuantizerImpl& quantizer = *quantizers_[i].quantizer;
    if (floor < kFloatBits && quantizer.spec().bits != bits) {
      quantizer.set_bits(bits);
      changed.push_back(quantizers_[i].quantizer);
    }
  }
  return changed;
}

void QuantizationSchedule::set_phase(int64_t iteration) {
  const Phase now = phase(iteration);
  for (const auto& one : quantizers_) {
    QuantizerMode mode = now.mode;
    mode.quantize = mode.quantize && stage_width(one, iteration) < kFloatBits;
    one.quantizer->set_mode(mode);
  }
  if (now.bn_frozen) {
    for (const auto& bn : batch_norms_) {
      bn->eval();
    }
  }
}

QuantizationScheduleHook::QuantizationScheduleHook(
    std::shared_ptr<QuantizationSchedule> schedule,
    std::shared_ptr<torch::optim::Optimizer> optimizer, std::shared_ptr<Ema> ema)
    : schedule_(std::move(schedule)), optimizer_(std::move(optimizer)), ema_(std::move(ema)) {}

void QuantizationScheduleHook::before_step(Trainer& trainer) {
  narrow(trainer.iteration());
  schedule_->set_phase(trainer.iteration());
  log_changes(trainer.iteration());
}

void QuantizationScheduleHook::narrow(int64_t iteration) {
  const auto changed = schedule_->set_widths(iteration);
  for (const auto& quantizer : changed) {
    reset_optimizer_state(*optimizer_, quantizer->parameters());
    if (ema_) {
      ema_->restart(quantizer->parameters());
      ema_->restart(quantizer->buffers());
    }
  }
  if (!changed.empty()) {
    const WidthStage& stage = *schedule_->stage(iteration);
    log_info(
        "iteration {}: {} quantizers change their width; weights now have {} bits, activations {}, "
        "or more where the network asks for it",
        iteration, changed.size(), stage.wbits, stage.abits);
  }
}

void QuantizationScheduleHook::log_changes(int64_t iteration) {
  const QuantizationSchedule::Phase now = schedule_->phase(iteration);
  const QuantizationSchedule::Phase before = previous_.value_or(QuantizationSchedule::Phase{});
  if (before.mode.quantize && !now.mode.quantize) {
    log_info(
        "iteration {}: quantizers only observe until QUANTIZATION.START_ITER; training and "
        "evaluation use the float network",
        iteration);
  } else if (!before.mode.quantize && now.mode.quantize) {
    log_info("iteration {}: quantization starts", iteration);
  }
  if (before.mode.observe && !now.mode.observe) {
    log_info("iteration {}: quantizers stop observing; their ranges no longer follow the data",
             iteration);
  }
  if (!before.bn_frozen && now.bn_frozen) {
    log_info("iteration {}: the statistics of batch norms are frozen", iteration);
  }
  previous_ = now;
}

}  // namespace ssdq
