#include "ssdq/engine/magnitude_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ssdq {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using nlohmann::ordered_json;

double share(int64_t zeros, int64_t total) {
  return total > 0 ? static_cast<double>(zeros) / static_cast<double>(total) : 0;
}

std::vector<std::string> row(const std::string& name, int64_t zeros, int64_t total) {
  return {name, std::to_string(zeros), std::to_string(total),
          fmt::format("{:.1f}", 100 * share(zeros, total))};
}

std::string weights(const MagnitudeReport& report, TableStyle style) {
  Rows rows = {{"weight", "zeros", "of", "sparsity %"}};
  for (const auto& one : report.sparse) {
    rows.push_back(row(one.weight, one.zeros, one.total));
  }
  rows.push_back(row("all", report.zeros, report.total));
  return text_table(rows, 1, style);
}

}  // namespace

std::string magnitude_report_text(const MagnitudeReport& report, TableStyle style) {
  std::string text = style == TableStyle::kMarkdown ? "# Magnitude pruning\n\n" : "";
  text += fmt::format("{}: the {:g} % of convolution weights nearest to 0 are 0.\n", report.weights,
                      100 * report.amount);
  text += heading("Weights", style) + weights(report, style);
  if (!report.evaluations.empty()) {
    text += heading("Metrics", style) + evaluation_table(report.evaluations, style);
  }
  return text;
}

std::string magnitude_report_json(const MagnitudeReport& report) {
  ordered_json json = {
      {"config", report.config_file}, {"weights", report.weights},
      {"importance", "magnitude"},    {"granularity", "weight"},
      {"amount", report.amount},      {"zeros", report.zeros},
      {"total", report.total},        {"sparsity", share(report.zeros, report.total)}};
  json["layers"] = ordered_json::array();
  for (const auto& one : report.sparse) {
    json["layers"].push_back({{"weight", one.weight},
                              {"zeros", one.zeros},
                              {"total", one.total},
                              {"sparsity", share(one.zeros, one.total)}});
  }
  json["metrics"] = evaluation_json(report.evaluations);
  json["files"] = report.files;
  return json.dump(2) + "\n";
}

}  // namespace ssdq
