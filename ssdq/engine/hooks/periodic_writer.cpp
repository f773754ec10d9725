#include "ssdq/engine/hooks/periodic_writer.h"

#include <utility>

#include "ssdq/engine/trainer.h"

namespace ssdq {

PeriodicWriter::PeriodicWriter(std::vector<std::unique_ptr<EventWriter>> writers, int64_t period)
    : writers_(std::move(writers)), period_(period) {}

void PeriodicWriter::after_step(Trainer& trainer) {
  const int64_t done = trainer.iteration() + 1;
  if (done % period_ == 0 || done == trainer.max_iter()) {
    for (const auto& writer : writers_) {
      writer->write(trainer.events());
    }
    trainer.events().clear_images();
  }
  for (const auto& writer : writers_) {
    writer->tick(trainer.events());
  }
}

void PeriodicWriter::after_train(Trainer&) {
  for (const auto& writer : writers_) {
    writer->close();
  }
}

}  // namespace ssdq
