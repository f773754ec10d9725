#pragma once

namespace ssdq {

class Trainer;

// While it lives, SIGINT and SIGTERM ask the trainer to stop after the running step; a second
// signal kills as usual. One at a time.
class StopOnSignal {
 public:
  explicit StopOnSignal(Trainer& trainer);
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
};

}  // namespace ssdq
