#pragma once

#include <optional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/engine/evaluation_tables.h"
#include "ssdq/graph/cost.h"
#include "ssdq/graph/text_table.h"
#include "ssdq/pruning/compensation.h"
#include "ssdq/pruning/selection.h"

namespace ssdq {

// Cost of a network and its measured time.
struct MeasuredCost {
  Cost cost;
  std::vector<double> node_ms;  // by node, one after another; empty: not measured
  double milliseconds = 0;      // of an image through the whole network
};

// What pruning did to a detector.
struct PruneReport {
  std::string config_file, weights, scope, importance, compensation;
  double percent = 0;  // of the channels in scope
  CountRounding rounding;
  double threshold = 0;  // of the scores
  int levels_before = 0, levels_after = 0;
  int carriers = 0;            // removed channels that stay to carry constants
  MeasuredCost before, after;  // nodes are matched by name
  int threads = 1;             // of the measured times
  std::vector<CompensationResidual> residuals;
  // "original", "masked", "compensated", "compact", "re-estimated": metrics on each of
  // DATASETS.TEST.
  NamedEvaluations evaluations;
  int images = 0;            // that masked and compact were compared on; 0: they were not
  bool real_images = false;  // of DATASETS.TEST, else random
  double difference = 0;     // of raw outputs, relative to the largest, quantizers switched off
  std::optional<double> quantized_difference;  // the same with them
  std::vector<std::string> files;              // written
};

// Totals, metrics and, by layer, the channels kept, parameters, MACs, bytes and milliseconds.
std::string prune_report_text(const PruneReport& report, TableStyle style);

std::string prune_report_json(const PruneReport& report);

// A bar for each convolution: its channels and those that are kept. RGB.
cv::Mat kept_channels_chart(const PruneReport& report);

}  // namespace ssdq
