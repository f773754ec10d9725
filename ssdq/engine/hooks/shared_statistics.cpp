#include "ssdq/engine/hooks/shared_statistics.h"

#include <utility>

#include "ssdq/distributed/broadcast_state.h"

namespace ssdq {

SharedStatistics::SharedStatistics(std::shared_ptr<ProcessGroup> group, const Detector& detector)
    : group_(std::move(group)) {
  for (const auto& buffer : detector->buffers()) {
    if (buffer.is_floating_point() && buffer.numel() > 0) buffers_.push_back(buffer);
  }
}

void SharedStatistics::after_step(Trainer&) { broadcast_tensors(*group_, buffers_); }

}  // namespace ssdq
