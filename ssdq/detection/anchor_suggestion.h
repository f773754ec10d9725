#pragma once

#include <string>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/detection/anchor_clusters.h"
#include "ssdq/detection/anchor_statistics.h"

namespace ssdq {

struct PriorSuggestion {
  PriorsConfig priors;  // the current ones when nothing better was found
  Coverage current, suggested;
  bool better = false;
};

// Sizes and ratios with a larger mean best IoU for these boxes (pixels of the network's input) than
// `current` has, and no more boxes below IoU 0.5. Strides, maps and the boxes per location stay, so
// that the network does too, and sizes rise from level to level. The search varies one number at a
// time, from the current values and from those of the clusters, on at most 20,000 boxes; the result
// is measured on all of them. Deterministic. Throws as measure_coverage and prior_levels do.
PriorSuggestion suggest_priors(const PriorsConfig& current, const std::vector<Size2>& maps,
                               Size2 image_size, const std::vector<Box>& boxes,
                               const ShapeClusters& clusters);

// MIN_SIZES, MAX_SIZES and ASPECT_RATIOS as they stand in a configuration, below MODEL and PRIORS.
std::string priors_yaml(const PriorsConfig& priors);

}  // namespace ssdq
