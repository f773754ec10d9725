#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/graph/text_table.h"

namespace ssdq {

// A network pruned by `percent`; what was not measured is missing.
struct SweepRow {
  double percent = 0;  // share of the channels in scope that are removed
  std::int64_t params = 0, macs = 0, weight_bytes = 0;
  std::optional<double> milliseconds;  // for an image
  // The metric with removed channels zeroed, with their constants given back, of the smaller
  // network, and of that after training.
  std::optional<double> masked, compensated, compact, fine_tuned;
};

// One detector pruned by several percentages.
struct SweepReport {
  std::string config_file, weights, scope, importance;
  std::string metric, dataset;  // what the metrics are and where they come from
  SweepRow original;            // nothing removed; its metric is `compact`
  std::vector<SweepRow> rows;
};

// A line for each row; columns that nothing was measured for are left out.
std::string sweep_report_text(const SweepReport& report, TableStyle style);

// The same numbers; keys of what was not measured are missing.
std::string sweep_report_json(const SweepReport& report);

enum class SweepAxis { kMacs, kMilliseconds };

// The metrics over the cost: a curve for each kind of metric, the original as a point. RGB. Throws
// Error when no row has both, or a number is not finite.
cv::Mat sweep_chart(const SweepReport& report, SweepAxis axis = SweepAxis::kMacs);

}  // namespace ssdq
