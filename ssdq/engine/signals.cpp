#include "ssdq/engine/signals.h"

#include <atomic>
#include <csignal>

#include "ssdq/engine/trainer.h"

namespace ssdq {
namespace {

std::atomic<Trainer*> stoppable{nullptr};

void handle(int signal) {
  if (Trainer* trainer = stoppable.load(); trainer != nullptr) {
    trainer->request_stop();
  }
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopOnSignal::StopOnSignal(Trainer& trainer) {
  stoppable = &trainer;
  std::signal(SIGINT, handle);
  std::signal(SIGTERM, handle);
}

StopOnSignal::~StopOnSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  stoppable = nullptr;
}

}  // namespace ssdq
