#include "ssdq/engine/sweep_report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ssdq/visualization/curves.h"

namespace ssdq {
namespace {

using nlohmann::ordered_json;
using Measured = std::optional<double> SweepRow::*;

struct Metric {
  const char* name;
  const char* key;
  Measured value;
};

constexpr Metric kMetrics[] = {{"masked", "masked", &SweepRow::masked},
                               {"compensated", "compensated", &SweepRow::compensated},
                               {"compact", "compact", &SweepRow::compact},
                               {"fine-tuned", "fine_tuned", &SweepRow::fine_tuned}};

std::string millions(std::int64_t count) {
  return fmt::format("{:.3f}", static_cast<double>(count) / 1e6);
}

// Share of the original that is gone.
double cut(std::int64_t before, std::int64_t after) {
  return before > 0 ? 1 - static_cast<double>(after) / static_cast<double>(before) : 0;
}

std::string percent(double share) { return fmt::format("{:.1f}", 100 * share); }

std::vector<SweepRow> all_rows(const SweepReport& report) {
  std::vector<SweepRow> rows = {report.original};
  rows.insert(rows.end(), report.rows.begin(), report.rows.end());
  return rows;
}

void add_column(std::vector<std::vector<std::string>>& table, const std::vector<SweepRow>& rows,
                const char* name, Measured value, int digits) {
  if (std::none_of(rows.begin(), rows.end(), [&](const SweepRow& row) { return row.*value; })) {
    return;
  }
  table[0].emplace_back(name);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::optional<double>& number = rows[i].*value;
    table[i + 1].push_back(number ? fmt::format("{:.{}f}", *number, digits) : "-");
  }
}

std::string table_of(const SweepReport& report, TableStyle style) {
  const std::vector<SweepRow> rows = all_rows(report);
  const SweepRow& original = report.original;
  std::vector<std::vector<std::string>> table = {
      {"removed", "parameters (M)", "cut %", "MACs (M)", "cut %", "weights (MB)"}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SweepRow& row = rows[i];
    table.push_back({i == 0 ? "nothing" : fmt::format("{:g} %", 100 * row.percent),
                     millions(row.params), percent(cut(original.params, row.params)),
                     millions(row.macs), percent(cut(original.macs, row.macs)),
                     millions(row.weight_bytes)});
  }
  add_column(table, rows, "ms", &SweepRow::milliseconds, 2);
  for (const Metric& metric : kMetrics) {
    add_column(table, rows, metric.name, metric.value, 4);
  }
  return text_table(table, 1, style);
}

ordered_json json_of(const SweepRow& row, const SweepRow& original) {
  ordered_json json = {{"percent", row.percent},
                       {"params", row.params},
                       {"macs", row.macs},
                       {"weight_bytes", row.weight_bytes},
                       {"params_cut", cut(original.params, row.params)},
                       {"macs_cut", cut(original.macs, row.macs)}};
  if (row.milliseconds) json["milliseconds"] = *row.milliseconds;
  for (const Metric& metric : kMetrics) {
    const std::optional<double>& value = row.*metric.value;
    if (value) json[metric.key] = *value;
  }
  return json;
}

std::optional<double> cost(const SweepRow& row, SweepAxis axis) {
  return axis == SweepAxis::kMilliseconds ? row.milliseconds : static_cast<double>(row.macs) / 1e6;
}

Curve curve_of(const char* name, const std::vector<SweepRow>& rows, SweepAxis axis,
               Measured value) {
  Curve curve{name, {}};
  for (const SweepRow& row : rows) {
    const std::optional<double> x = cost(row, axis);
    const std::optional<double>& y = row.*value;
    if (x && y) curve.points.emplace_back(*x, *y);
  }
  return curve;
}

}  // namespace

std::string sweep_report_text(const SweepReport& report, TableStyle style) {
  std::string text = style == TableStyle::kMarkdown ? "# Pruning by several percentages\n\n" : "";
  text += fmt::format("{} pruned: scope {}, importance {}; {} on {}.\n\n", report.weights,
                      report.scope, report.importance, report.metric, report.dataset);
  return text + table_of(report, style);
}

std::string sweep_report_json(const SweepReport& report) {
  ordered_json json = {{"config", report.config_file},
                       {"weights", report.weights},
                       {"scope", report.scope},
                       {"importance", report.importance},
                       {"metric", report.metric},
                       {"dataset", report.dataset},
                       {"original", json_of(report.original, report.original)}};
  json["rows"] = ordered_json::array();
  for (const SweepRow& row : report.rows) {
    json["rows"].push_back(json_of(row, report.original));
  }
  return json.dump(2) + "\n";
}

cv::Mat sweep_chart(const SweepReport& report, SweepAxis axis) {
  std::vector<Curve> curves;
  for (const Metric& metric : kMetrics) {
    curves.push_back(curve_of(metric.name, report.rows, axis, metric.value));
  }
  curves.push_back(curve_of("original", {report.original}, axis, &SweepRow::compact));
  CurvesOptions options;
  options.title = fmt::format("Pruned by scope {}, importance {}: {} on {}", report.scope,
                              report.importance, report.metric, report.dataset);
  options.x_label = axis == SweepAxis::kMacs ? "MACs (M)" : "ms an image";
  options.y_label = report.metric;
  return draw_curves(curves, options);
}

}  // namespace ssdq
