#include "ssdq/engine/prune_report.h"

#include <cstdint>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ssdq/visualization/bar_chart.h"

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

bool is_convolution(const NodeCost& node) {
  return node.kind == "conv" || node.kind == "depthwise";
}

// Output channels of the convolutions.
int64_t channels(const Cost& cost) {
  int64_t sum = 0;
  for (const NodeCost& node : cost.nodes) {
    if (is_convolution(node)) sum += node.output.channels;
  }
  return sum;
}

std::string totals(const PruneReport& report, TableStyle style) {
  const Cost &before = report.before.cost, &after = report.after.cost;
  Rows rows = {{"", "before", "after", "cut %"},
               {"channels of convolutions", std::to_string(channels(before)),
                std::to_string(channels(after)),
                fmt::format("{:.1f}", cut(channels(before), channels(after)))},
               total_row("parameters (M)", before.params, after.params),
               total_row("MACs (M)", before.macs, after.macs),
               total_row("weights (MB)", before.weight_bytes, after.weight_bytes)};
  if (const double was = report.before.milliseconds, is = report.after.milliseconds; was > 0) {
    rows.push_back(
        {fmt::format("ms an image, {} thread{}", report.threads, report.threads == 1 ? "" : "s"),
         fmt::format("{:.2f}", was), fmt::format("{:.2f}", is),
         fmt::format("{:.1f}", 100 * (1 - is / was))});
  }
  if (report.levels_after != report.levels_before) {
    rows.push_back(
        {"levels", std::to_string(report.levels_before), std::to_string(report.levels_after), ""});
  }
  return text_table(rows, 1, style);
}

struct LayerChange {
  const NodeCost* was;
  NodeCost is;
  double was_ms = 0, is_ms = 0;
};

// Of the nodes with parameters; what is gone has cost nothing.
std::vector<LayerChange> layer_changes(const PruneReport& report) {
  const auto ms = [](const MeasuredCost& of, size_t i) {
    return of.node_ms.empty() ? 0 : of.node_ms[i];
  };
  const auto& after = report.after.cost.nodes;
  std::vector<LayerChange> changes;
  size_t next = 0;
  for (size_t i = 0; i < report.before.cost.nodes.size(); ++i) {
    const NodeCost& was = report.before.cost.nodes[i];
    LayerChange change{&was, {}, ms(report.before, i), 0};
    if (next < after.size() && after[next].name == was.name) {
      change.is = after[next];
      change.is_ms = ms(report.after, next);
      ++next;
    }
    if (was.params > 0) changes.push_back(change);
  }
  return changes;
}

std::string layers(const PruneReport& report, TableStyle style) {
  const bool timed = !report.before.node_ms.empty();
  Rows rows = {
      {"layer", "kind", "kept", "of", "parameters", "after", "MACs", "after", "bytes", "after"}};
  if (timed) rows.front().insert(rows.front().end(), {"ms", "after"});
  for (const auto& [was, is, was_ms, is_ms] : layer_changes(report)) {
    rows.push_back({was->name, was->kind, std::to_string(is.output.channels),
                    std::to_string(was->output.channels), std::to_string(was->params),
                    std::to_string(is.params), std::to_string(was->macs), std::to_string(is.macs),
                    std::to_string(was->weight_bytes), std::to_string(is.weight_bytes)});
    if (timed) {
      rows.back().push_back(fmt::format("{:.3f}", was_ms));
      rows.back().push_back(fmt::format("{:.3f}", is_ms));
    }
  }
  return text_table(rows, 2, style);
}

std::string residuals(const PruneReport& report, TableStyle style) {
  Rows rows = {{"layer", "largest", "mean"}};
  for (const auto& one : report.residuals) {
    rows.push_back({one.node, fmt::format("{:.3g}", one.largest), fmt::format("{:.3g}", one.mean)});
  }
  return text_table(rows, 1, style);
}

std::string compensation(const PruneReport& report) {
  if (report.compensation == "none") {
    return "no compensation";
  }
  std::string text = "constants of removed channels compensated";
  if (report.compensation == "exact") {
    text += fmt::format(", {} merged channel{} carrying them", report.carriers,
                        report.carriers == 1 ? "" : "s");
  }
  return text;
}

std::string settings(const PruneReport& report) {
  return fmt::format(
      "{} pruned by {:.4g} % of the channels in scope {}: importance {} (kept from {:.4g} on), {}, "
      "{}.\n",
      report.weights, 100 * report.percent, report.scope, report.importance, report.threshold,
      report.rounding.regular ? fmt::format("counts in multiples of {}", report.rounding.multiple)
                              : std::string("counts as they come"),
      compensation(report));
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

ordered_json json_of(const MeasuredCost& measured) {
  const Cost& cost = measured.cost;
  ordered_json json = {{"channels", channels(cost)},
                       {"params", cost.params},
                       {"macs", cost.macs},
                       {"weight_bytes", cost.weight_bytes}};
  if (measured.milliseconds > 0) json["milliseconds"] = measured.milliseconds;
  return json;
}

ordered_json layers_json(const PruneReport& report) {
  ordered_json rows = ordered_json::array();
  for (const auto& [was, is, was_ms, is_ms] : layer_changes(report)) {
    rows.push_back({{"name", was->name},
                    {"kind", was->kind},
                    {"kept", is.output.channels},
                    {"of", was->output.channels},
                    {"params_before", was->params},
                    {"params_after", is.params},
                    {"macs_before", was->macs},
                    {"macs_after", is.macs},
                    {"weight_bytes_before", was->weight_bytes},
                    {"weight_bytes_after", is.weight_bytes}});
    if (!report.before.node_ms.empty()) {
      rows.back()["milliseconds_before"] = was_ms;
      rows.back()["milliseconds_after"] = is_ms;
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
    text += heading("Metrics", style) + evaluation_table(report.evaluations, style);
  }
  return text;
}

std::string prune_report_json(const PruneReport& report) {
  const Cost &before = report.before.cost, &after = report.after.cost;
  ordered_json json = {{"config", report.config_file},
                       {"weights", report.weights},
                       {"percent", report.percent},
                       {"scope", report.scope},
                       {"importance", report.importance},
                       {"threshold", report.threshold},
                       {"regular", report.rounding.regular},
                       {"multiple", report.rounding.multiple},
                       {"compensation", report.compensation},
                       {"merged_channels", report.carriers},
                       {"levels_before", report.levels_before},
                       {"levels_after", report.levels_after},
                       {"threads", report.threads},
                       {"before", json_of(report.before)},
                       {"after", json_of(report.after)},
                       {"params_cut", cut(before.params, after.params) / 100},
                       {"macs_cut", cut(before.macs, after.macs) / 100}};
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
  json["metrics"] = evaluation_json(report.evaluations);
  json["files"] = report.files;
  return json.dump(2) + "\n";
}

cv::Mat kept_channels_chart(const PruneReport& report) {
  std::vector<Bar> bars;
  for (const auto& change : layer_changes(report)) {
    if (is_convolution(*change.was)) {
      bars.push_back({change.was->name, change.is.output.channels, change.was->output.channels});
    }
  }
  BarChartOptions options;
  options.title = fmt::format("Channels kept, {:.4g} % of scope {} removed", 100 * report.percent,
                              report.scope);
  return draw_bar_chart(bars, options);
}

}  // namespace ssdq
