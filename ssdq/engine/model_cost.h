#pragma once

#include <utility>
#include <vector>

#include "ssdq/engine/experiment.h"
#include "ssdq/graph/cost_report.h"
#include "ssdq/modeling/detector.h"

namespace ssdq {

// Code widths of the nodes that the detector's quantizers quantize.
WidthPlan code_widths(const Detector& detector);

constexpr int kTimedPasses = 20;  // that a reported time is the median of, unless told otherwise

// Milliseconds of each node on one image of random pixels, in node order: the median of `runs`
// passes in evaluation mode after one to warm up. A quantized node's time is that of the
// simulation in float. Ranges that are not set yet come from that image.
std::vector<double> measure_nodes(Detector& detector, const Experiment& experiment, int runs);

// Milliseconds of whole networks on one image of random pixels, without decoding: the medians of
// `runs` passes, at least 1, in evaluation mode after three to warm up, the networks taking turns;
// otherwise as measure_nodes.
std::vector<double> measure_networks(
    const std::vector<std::pair<Detector, const Experiment*>>& networks, int runs);

// Cost of the configuration's detector; its nodes are measured when `runs` is above 0. Throws
// ConfigError for a negative number.
ModelCost model_cost(const Experiment& experiment, int runs);

}  // namespace ssdq
