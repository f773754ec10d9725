#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "ssdq/engine/inference.h"
#include "ssdq/graph/text_table.h"

namespace ssdq {

// Networks by name, each with its metrics on the data sets.
using NamedEvaluations = std::vector<std::pair<std::string, std::vector<EvaluationResult>>>;

// A row for each network and data set with its first metric.
std::string evaluation_table(const NamedEvaluations& evaluations, TableStyle style);

// The same with all metrics, a list of {network, dataset, metrics}.
nlohmann::ordered_json evaluation_json(const NamedEvaluations& evaluations);

// A section's title, in its own lines.
std::string heading(const char* text, TableStyle style);

}  // namespace ssdq
