#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ssdq/engine/hook.h"
#include "ssdq/utils/event_writers.h"

namespace ssdq {

// Writes the events of an iteration to each writer, every `period` iterations and after the last.
// Comes last, so that it sees what the other hooks put.
class PeriodicWriter : public Hook {
 public:
  PeriodicWriter(std::vector<std::unique_ptr<EventWriter>> writers, int64_t period);

  std::string name() const override { return "periodic_writer"; }
  void after_step(Trainer& trainer) override;
  void after_train(Trainer& trainer) override;

 private:
  std::vector<std::unique_ptr<EventWriter>> writers_;
  int64_t period_;
};

}  // namespace ssdq
