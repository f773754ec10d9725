#pragma once

#include <string>
#include <vector>

#include "ssdq/graph/cost.h"
#include "ssdq/graph/text_table.h"

namespace ssdq {

// The cost of one model with its name and what was measured.
struct ModelCost {
  std::string name;
  Cost cost;
  std::vector<double> node_ms;  // by node; empty: not measured
};

// A row for each node that computes something, the totals, and what the columns mean.
std::string cost_report(const ModelCost& model, TableStyle style);

// Totals of two models side by side with their ratio (the second over the first), then the nodes
// whose cost differs, matched by name.
std::string comparison_report(const ModelCost& before, const ModelCost& after, TableStyle style);

// The same as JSON; every count as an integer, nodes in node order. `after` may be null.
std::string cost_json(const ModelCost& before, const ModelCost* after = nullptr);

}  // namespace ssdq
