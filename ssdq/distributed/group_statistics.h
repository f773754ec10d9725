#pragma once

#include <memory>

#include "ssdq/distributed/process_group.h"
#include "ssdq/quantization/rank_statistics.h"

namespace ssdq {

// Batch statistics over the ranks of a group, for StatisticsScope. Training needs a group for it
// that gradients do not use (gradient_reducer.h).
StatisticsReducerPtr statistics_over(std::shared_ptr<ProcessGroup> group);

}  // namespace ssdq
