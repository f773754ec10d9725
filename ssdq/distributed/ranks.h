#pragma once

#include <memory>

#include "ssdq/distributed/process_group.h"
#include "ssdq/quantization/rank_statistics.h"

namespace ssdq {

// What the ranks of a training run share.
struct Ranks {
  std::shared_ptr<ProcessGroup> group;  // gradients, and whatever is said between steps
  StatisticsReducerPtr statistics;      // of batches, over a group of its own
};

// Connects the ranks of `world`; null for a world of one, but for one GPU with BACKEND nccl, which
// then makes the calls of many. Throws as connect().
std::shared_ptr<const Ranks> connect_ranks(const World& world, const DistributedConfig& config,
                                           torch::Device device);

}  // namespace ssdq
