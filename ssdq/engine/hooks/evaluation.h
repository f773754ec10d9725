#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ssdq/engine/hook.h"

namespace ssdq {

// Evaluates every `period` iterations (0: never) and after the last; puts each metric under its
// name, "eval/mAP" and so on.
class EvalHook : public Hook {
 public:
  using Metrics = std::vector<std::pair<std::string, double>>;

  EvalHook(int64_t period, std::function<Metrics(Trainer&)> evaluate);

  std::string name() const override { return "evaluation"; }
  void after_step(Trainer& trainer) override;

 private:
  int64_t period_;
  std::function<Metrics(Trainer&)> evaluate_;
};

}  // namespace ssdq
