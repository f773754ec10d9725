#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/engine/evaluation_tables.h"
#include "ssdq/graph/text_table.h"
#include "ssdq/pruning/magnitude.h"

namespace ssdq {

// What magnitude pruning did to a detector.
struct MagnitudeReport {
  std::string config_file, weights;
  double amount = 0;
  std::vector<WeightSparsity> sparse;
  int64_t zeros = 0, total = 0;  // of all convolution weights
  // "original", "sparse": metrics on each of DATASETS.TEST; empty when that is.
  NamedEvaluations evaluations;
  std::vector<std::string> files;  // written
};

// Zeros by layer and in all, and the metrics.
std::string magnitude_report_text(const MagnitudeReport& report, TableStyle style);

std::string magnitude_report_json(const MagnitudeReport& report);

}  // namespace ssdq
