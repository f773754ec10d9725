#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ssdq/engine/inference.h"
#include "ssdq/graph/cost.h"
#include "ssdq/graph/text_table.h"
#include "ssdq/pruning/compensation.h"
#include "ssdq/pruning/selection.h"

namespace ssdq {

// What pruning did to a detector.
struct PruneReport {
  std::string config_file, weights, scope, importance;
  SelectionOptions selection;
  double threshold = 0;  // of the scores
  Cost before, after;    // node by node: pruning removes channels, not nodes
  bool compensated = false;
  std::vector<CompensationResidual> residuals;
  // "original", "masked", "compensated", "compact": metrics on each of DATASETS.TEST.
  std::vector<std::pair<std::string, std::vector<EvaluationResult>>> evaluations;
  int images = 0;            // that masked and compact were compared on; 0: they were not
  bool real_images = false;  // of DATASETS.TEST, else random
  double difference = 0;     // of raw outputs, relative to the largest, quantizers switched off
  std::optional<double> quantized_difference;  // the same with them
  std::vector<std::string> files;              // written
};

// Totals, metrics and, by layer, the channels kept, parameters and MACs.
std::string prune_report_text(const PruneReport& report, TableStyle style);

std::string prune_report_json(const PruneReport& report);

}  // namespace ssdq
