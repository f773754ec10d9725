#include "ssdq/engine/evaluation_tables.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ssdq {

std::string evaluation_table(const NamedEvaluations& evaluations, TableStyle style) {
  std::vector<std::vector<std::string>> rows = {{"network", "data set", "metric", "value"}};
  for (const auto& [name, results] : evaluations) {
    for (const auto& result : results) {
      const auto& [metric, value] = result.table.metrics.front();
      rows.push_back({name, result.dataset, metric, fmt::format("{:.4f}", value)});
    }
  }
  return text_table(rows, 3, style);
}

nlohmann::ordered_json evaluation_json(const NamedEvaluations& evaluations) {
  using nlohmann::ordered_json;
  ordered_json rows = ordered_json::array();
  for (const auto& [name, results] : evaluations) {
    for (const auto& result : results) {
      ordered_json values;
      for (const auto& [metric, value] : result.table.metrics) {
        values[metric] = value;
      }
      rows.push_back({{"network", name}, {"dataset", result.dataset}, {"metrics", values}});
    }
  }
  return rows;
}

std::string heading(const char* text, TableStyle style) {
  return style == TableStyle::kMarkdown ? fmt::format("\n## {}\n\n", text)
                                        : fmt::format("\n{}\n", text);
}

}  // namespace ssdq
