#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <torch/optim/optimizer.h>

#include "ssdq/config/config.h"
#include "ssdq/engine/hook.h"
#include "ssdq/engine/quantizers.h"
#include "ssdq/solver/ema.h"

namespace ssdq {

// What QUANTIZATION says of an iteration, put into the quantizers and batch norms of a network. A
// pure function of the iteration, so that a resumed run needs no state.
class QuantizationSchedule {
 public:
  struct Phase {
    QuantizerMode mode;
    bool bn_frozen = false;
  };

  // The widths that the quantizers have now are their final ones. Throws ConfigError when
  // PROGRESSIVE ends wider than WBITS or ABITS.
  QuantizationSchedule(const torch::nn::Module& network, const QuantizationConfig& config);

  Phase phase(int64_t iteration) const;

  // The stage of PROGRESSIVE in force; before the first, the first. Null without stages.
  const WidthStage* stage(int64_t iteration) const;

  // Whether the network quantizes with its final widths.
  bool is_final(int64_t iteration) const;

  // Sets each quantizer to the wider of its own final width and the stage's; returns those that
  // changed. A stage of 32 bits leaves widths alone: set_phase() keeps such quantizers off.
  std::vector<QuantizerPtr> set_widths(int64_t iteration);

  // Sets the modes of quantizers, and batch norms to evaluation mode once they are frozen.
  void set_phase(int64_t iteration);

 private:
  int stage_width(const NamedQuantizer& one, int64_t iteration) const;  // 0 without stages

  QuantizationConfig config_;
  std::vector<NamedQuantizer> quantizers_;
  std::vector<int> final_bits_;
  BatchNorms batch_norms_;
};

// Sets the network up for each step. When a width changes, the optimizer forgets the momentum of
// that quantizer's parameters, and the averages of its state start again. Expects the network in
// training mode. `ema` may be null.
class QuantizationScheduleHook : public Hook {
 public:
  QuantizationScheduleHook(std::shared_ptr<QuantizationSchedule> schedule,
                           std::shared_ptr<torch::optim::Optimizer> optimizer,
                           std::shared_ptr<Ema> ema);

  std::string name() const override { return "quantization_schedule"; }
  void before_step(Trainer& trainer) override;

 private:
  void narrow(int64_t iteration);
  void log_changes(int64_t iteration);

  std::shared_ptr<QuantizationSchedule> schedule_;
  std::shared_ptr<torch::optim::Optimizer> optimizer_;
  std::shared_ptr<Ema> ema_;
  std::optional<QuantizationSchedule::Phase> previous_;
};

}  // namespace ssdq
