#pragma once

#include <string>
#include <vector>

#include "ssdq/detection/anchor_suggestion.h"

namespace ssdq {

// What is known about the default boxes of a configuration and the boxes of a data set.
struct AnchorReport {
  std::string dataset;
  Size2 image_size;        // of the network's input
  int64_t left_out = 0;    // boxes without area
  int64_t num_priors = 0;  // default boxes
  std::vector<Size2> maps;
  ShapeClusters clusters;
  PriorSuggestion suggestion;
};

// Measures `boxes` (pixels of the network's input), clusters them (as many clusters as default
// boxes at a location of all levels together when `options.clusters` is 0) and looks for better
// sizes. Throws Error without boxes, else as the functions of the parts do.
AnchorReport analyze_anchors(const PriorsConfig& priors, const std::vector<Size2>& maps,
                             Size2 image_size, const std::vector<Box>& boxes,
                             ClusterOptions options);

// Tables for people, 100 columns at most, and the suggestion as YAML.
std::string to_text(const AnchorReport& report);

std::string to_json(const AnchorReport& report);

}  // namespace ssdq
