#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/distributed/world.h"

struct RankSettings {
  std::string config = "configs/mobilenet_v2_ssd320_bccd.yaml";
  int64_t batch = 4;  // images of a rank
  int steps = 10;
  double bucket_mb = 25;
  bool together = true;  // else the ranks say nothing to each other in a step
  bool bfloat16 = false;
  bool sync_bn = true;
};

// Of one step.
struct Figures {
  double seconds = 0;
  double buckets = 0;        // of gradients
  double bytes = 0;          // from each rank
  double communicating = 0;  // s from the first gradient call's start to the last's end
  double waiting = 0;        // s for gradients after the backward pass
  double calls = 0;          // of batch statistics
  double statistics_bytes = 0;
  double statistics = 0;  // s in those calls, for the slowest rank too
};

// Trains with one thread on a random batch in memory, with the same weights on all ranks: two steps
// to warm up, then those measured, which begin and end at a time for all ranks.
std::vector<Figures> train_rank(const RankSettings& settings, const ssdq::World& world);
