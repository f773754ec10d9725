#include "ssdq/engine/prune_report.h"

#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ssdq {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using nlohmann::ordered_json;

// Share that is gone, in percent.
double cut(int64_t before, int64_t after) {
  return before > 0 ? 100 * (1 - static_cast<double>(after) / static_cast<double>(before)) : 0;
}

std::string millions(int64_t count) {
  return fmt::format("{:.3f}", static_cast<double>(count) / 1e6);
}

std::vector<std::string> total_row(const char* name, int64_t before, int64_t after) {
  return {name, millions(before), millions(after), fmt::format("{:.1f}", cut(before, after))};
}

// Output channels of the convolutions.
int64_t channels(const Cost& cost) {
  int64_t sum = 0;
  for (const NodeCost& node : cost.nodes) {
    if (node.kind == "conv" || node.kind == "depthwise") sum += node.output.channels;
  }
  return sum;
}

std::string totals(const PruneReport& report, TableStyle style) {
  const Cost &before = report.before, &after = report.after;
  return text_table({{"", "before", "after", "cut %"},
                     {"channels of convolutions", std::to_string(channels(before)),
                      std::to_string(channels(after)),
                      fmt::format("{:.1f}", cut(channels(before), channels(after)))},
                     total_row("parameters (M)", before.params, after.params),
                     total_row("MACs (M)", before.macs, after.macs),
                     total_row("weights (MB)", before.weight_bytes, after.weight_bytes)},
                    1, style);
}

std::string layers(const PruneReport& report, TableStyle style) {
  Rows rows = {{"layer", "kind", "kept", "of", "parameters", "after", "MACs", "after"}};
  for (size_t i = 0; i < report.before.nodes.size(); ++i) {
    const NodeCost &was = report.before.nodes[i], &is = report.after.nodes[i];
    if (was.params > 0) {
      rows.push_back({was.name, was.kind, std::to_string(is.output.channels),
                      std::to_string(was.output.channels), std::to_string(was.params),
                      std::to_string(is.params), std::to_string(was.macs),
                      std::to_string(is.macs)});
    }
  }
  return text_table(rows, 2, style);
}

std::string metrics(const PruneReport& report, TableStyle style) {
  Rows rows = {{"network", "data set", "metric", "value"}};
  for (const auto& [name, results] : report.evaluations) {
    for (const auto& result : results) {
      const auto& [metric, value] = result.table.metrics.front();
      rows.push_back({name, result.dataset, metric, fmt::format("{:.4f}", value)});
    }
  }
  return text_table(rows, 3, style);
}

std::string residuals(const PruneReport& report, TableStyle style) {
  Rows rows = {{"layer", "largest", "mean"}};
  for (const auto& one : report.residuals) {
    rows.push_back({one.node, fmt::format("{:.3g}", one.largest), fmt::format("{:.3g}", one.mean)});
  }
  return text_table(rows, 1, style);
}

std::string heading(const char* text, TableStyle style) {
  return style == TableStyle::kMarkdown ? fmt::format("\n## {}\n\n", text)
                                        : fmt::format("\n{}\n", text);
}

std::string settings(const PruneReport& report) {
  const SelectionOptions& selection = report.selection;
  return fmt::format(
      "{} pruned by {:g} %: scope {}, importance {} (kept from {:.4g} on), {}, {}.\n",
      report.weights, 100 * selection.percent, report.scope, report.importance, report.threshold,
      selection.regular ? fmt::format("counts in multiples of {}", selection.multiple)
                        : std::string("counts as they come"),
      report.compensated ? "constants of removed channels compensated" : "no compensation");
}

std::string check(const PruneReport& report) {
  std::string text = fmt::format(
      "Masked and compact network on {} {} images: raw outputs differ by {:.2g} of the largest{}",
      report.images, report.real_images ? "test" : "random", report.difference,
      report.quantized_difference ? " with quantizers switched off" : "");
  if (report.quantized_difference) {
    text += fmt::format(", by {:.2g} with them", *report.quantized_difference);
  }
  return text + ".\n";
}

ordered_json json_of(const Cost& cost) {
  return {{"channels", channels(cost)},
          {"params", cost.params},
          {"macs", cost.macs},
          {"weight_bytes", cost.weight_bytes}};
}

ordered_json layers_json(const PruneReport& report) {
  ordered_json rows = ordered_json::array();
  for (size_t i = 0; i < report.before.nodes.size(); ++i) {
    const NodeCost &was = report.before.nodes[i], &is = report.after.nodes[i];
    if (was.params > 0) {
      rows.push_back({{"name", was.name},
                      {"kind", was.kind},
                      {"kept", is.output.channels},
                      {"of", was.output.channels},
                      {"params_before", was.params},
                      {"params_after", is.params},
                      {"macs_before", was.macs},
                      {"macs_after", is.macs}});
    }
  }
  return rows;
}

ordered_json metrics_json(const PruneReport& report) {
  ordered_json rows = ordered_json::array();
  for (const auto& [name, results] : report.evaluations) {
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

}  // namespace

std::string prune_report_text(const PruneReport& report, TableStyle style) {
  const bool markdown = style == TableStyle::kMarkdown;
  std::string text = markdown ? "# Pruning\n\n" : "";
  text += settings(report) + (report.images > 0 ? "\n" + check(report) : "");
  text += heading("Layers", style) + layers(report, style);
  text += heading("Totals", style) + totals(report, style);
  if (!report.residuals.empty() && markdown) {
    text += heading("What compensation could not give back", style) + residuals(report, style);
  }
  if (!report.evaluations.empty()) {
    text += heading("Metrics", style) + metrics(report, style);
  }
  return text;
}

std::string prune_report_json(const PruneReport& report) {
  ordered_json json = {{"config", report.config_file},
                       {"weights", report.weights},
                       {"percent", report.selection.percent},
                       {"scope", report.scope},
                       {"importance", report.importance},
                       {"threshold", report.threshold},
                       {"regular", report.selection.regular},
                       {"multiple", report.selection.multiple},
                       {"compensation", report.compensated ? "constant" : "none"},
                       {"before", json_of(report.before)},
                       {"after", json_of(report.after)},
                       {"params_cut", cut(report.before.params, report.after.params) / 100},
                       {"macs_cut", cut(report.before.macs, report.after.macs) / 100}};
  if (report.images > 0) {
    json["check"] = {{"images", report.images},
                     {"real_images", report.real_images},
                     {"difference", report.difference}};
    if (report.quantized_difference) {
      json["check"]["quantized_difference"] = *report.quantized_difference;
    }
  }
  json["layers"] = layers_json(report);
  json["residuals"] = ordered_json::array();
  for (const auto& one : report.residuals) {
    json["residuals"].push_back(
        {{"layer", one.node}, {"largest", one.largest}, {"mean", one.mean}});
  }
  json["metrics"] = metrics_json(report);
  json["files"] = report.files;
  return json.dump(2) + "\n";
}

}  // namespace ssdq
