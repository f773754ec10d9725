#include "ssdq/graph/cost_report.h"

#include <map>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ssdq/graph/describe.h"

namespace ssdq {
namespace {

using nlohmann::ordered_json;
using Row = std::vector<std::string>;

constexpr const char* kDefinitions =
    "MACs: multiply-adds of convolutions and squeeze-excite layers for one image; batch norm "
    "folds\n"
    "into the convolution and counts none; FLOPs are 2 x MACs. BOPs: MACs x W bits x A bits.\n"
    "Parameters: without running statistics. Weights: convolution weights at W bits, all other\n"
    "parameters 4 bytes each. Output: at the width its readers want. Peak activations: the "
    "largest\n"
    "sum of a node's inputs, its output and earlier outputs still needed, nodes run in order.\n";

std::string millions(std::int64_t value) {
  return fmt::format("{:.3f}", static_cast<double>(value) / 1e6);
}

std::string billions(std::int64_t value) {
  return fmt::format("{:.3f}", static_cast<double>(value) / 1e9);
}

std::string kib(std::int64_t bytes) {
  return fmt::format("{:.1f}", static_cast<double>(bytes) / 1024);
}

std::string width(int bits) { return bits == 32 ? "float" : fmt::format("{}", bits); }

double total_ms(const ModelCost& model) {
  return std::accumulate(model.node_ms.begin(), model.node_ms.end(), 0.0);
}

Row header(bool measured) {
  Row row{"node",   "kind",    "output",  "W",           "A",
          "params", "MACs, M", "BOPs, G", "weights KiB", "output KiB"};
  if (measured) row.emplace_back("ms");
  return row;
}

Row row_of(const ModelCost& model, std::size_t i) {
  const NodeCost& node = model.cost.nodes[i];
  Row row{node.name,
          node.kind,
          to_string(node.output),
          node.weights > 0 ? width(node.widths.weights) : "",
          node.macs > 0 || node.widths.inputs != 32 ? width(node.widths.inputs) : "",
          fmt::format("{}", node.params),
          millions(node.macs),
          billions(node.bops),
          kib(node.weight_bytes),
          kib(node.output_bytes)};
  if (!model.node_ms.empty()) row.push_back(fmt::format("{:.3f}", model.node_ms[i]));
  return row;
}

Row totals_row(const ModelCost& model) {
  const Cost& cost = model.cost;
  Row row{"total",
          "",
          "",
          "",
          "",
          fmt::format("{}", cost.params),
          millions(cost.macs),
          billions(cost.bops),
          kib(cost.weight_bytes),
          kib(cost.output_bytes)};
  if (!model.node_ms.empty()) row.push_back(fmt::format("{:.3f}", total_ms(model)));
  return row;
}

std::string ratio(double before, double after) {
  return before > 0 ? fmt::format("{:.4f}", after / before) : after > 0 ? "new" : "";
}

template <typename Text>
Row compared(const std::string& name, std::int64_t before, std::int64_t after, Text text) {
  return {name, text(before), text(after),
          ratio(static_cast<double>(before), static_cast<double>(after))};
}

std::string totals_table(const ModelCost& before, const ModelCost& after, TableStyle style) {
  const Cost &a = before.cost, &b = after.cost;
  const auto plain = [](std::int64_t value) { return fmt::format("{}", value); };
  std::vector<Row> rows = {{"total", "before", "after", "after / before"},
                           compared("parameters", a.params, b.params, plain),
                           compared("MACs, M", a.macs, b.macs, millions),
                           compared("BOPs, G", a.bops, b.bops, billions),
                           compared("weights KiB", a.weight_bytes, b.weight_bytes, kib),
                           compared("outputs KiB", a.output_bytes, b.output_bytes, kib),
                           compared("peak activations KiB", a.peak_bytes, b.peak_bytes, kib)};
  if (!before.node_ms.empty() && !after.node_ms.empty()) {
    const double x = total_ms(before), y = total_ms(after);
    rows.push_back({"ms", fmt::format("{:.2f}", x), fmt::format("{:.2f}", y), ratio(x, y)});
  }
  return text_table(rows, 1, style);
}

bool same_cost(const NodeCost& a, const NodeCost& b) {
  return a.params == b.params && a.macs == b.macs && a.bops == b.bops &&
         a.weight_bytes == b.weight_bytes && a.output_bytes == b.output_bytes;
}

Row difference_row(const NodeCost& a, const NodeCost& b) {
  const std::string& name = a.name.empty() ? b.name : a.name;
  const auto shape = [](const NodeCost& node) {
    return node.name.empty() ? "-" : to_string(node.output);
  };
  return {name,
          shape(a),
          shape(b),
          fmt::format("{}", a.params),
          fmt::format("{}", b.params),
          millions(a.macs),
          millions(b.macs),
          kib(a.weight_bytes),
          kib(b.weight_bytes),
          ratio(static_cast<double>(a.bops), static_cast<double>(b.bops))};
}

std::string differences_table(const Cost& before, const Cost& after, TableStyle style) {
  std::map<std::string, const NodeCost*> others;
  for (const NodeCost& node : after.nodes) others[node.name] = &node;
  std::vector<Row> rows = {{"node", "output", "after", "params", "after", "MACs, M", "after",
                            "weights KiB", "after", "BOPs ratio"}};
  for (const NodeCost& node : before.nodes) {
    const auto other = others.find(node.name);
    const NodeCost none;
    const NodeCost& match = other == others.end() ? none : *other->second;
    if (!same_cost(node, match)) rows.push_back(difference_row(node, match));
    if (other != others.end()) others.erase(other);
  }
  for (const NodeCost& node : after.nodes) {
    if (others.count(node.name) != 0 && !same_cost({}, node)) {
      rows.push_back(difference_row({}, node));
    }
  }
  return rows.size() == 1 ? "all nodes cost the same\n" : text_table(rows, 3, style);
}

ordered_json json_of(const ModelCost& model) {
  const Cost& cost = model.cost;
  ordered_json json = {{"name", model.name},
                       {"params", cost.params},
                       {"macs", cost.macs},
                       {"bops", cost.bops},
                       {"weight_bytes", cost.weight_bytes},
                       {"output_bytes", cost.output_bytes},
                       {"peak_activation_bytes", cost.peak_bytes},
                       {"peak_node", cost.nodes[cost.peak_node].name}};
  if (!model.node_ms.empty()) json["ms"] = total_ms(model);
  json["nodes"] = ordered_json::array();
  for (std::size_t i = 0; i < cost.nodes.size(); ++i) {
    const NodeCost& node = cost.nodes[i];
    ordered_json row = {
        {"name", node.name},
        {"kind", node.kind},
        {"output", {node.output.channels, node.output.size.height, node.output.size.width}},
        {"params", node.params},
        {"macs", node.macs},
        {"bops", node.bops},
        {"weight_bits", node.widths.weights},
        {"input_bits", node.widths.inputs},
        {"output_bits", node.output_bits},
        {"weight_bytes", node.weight_bytes},
        {"output_bytes", node.output_bytes},
        {"live_bytes", node.live_bytes}};
    if (!model.node_ms.empty()) row["ms"] = model.node_ms[i];
    json["nodes"].push_back(std::move(row));
  }
  return json;
}

}  // namespace

std::string cost_report(const ModelCost& model, TableStyle style) {
  std::vector<Row> rows = {header(!model.node_ms.empty())};
  for (std::size_t i = 0; i < model.cost.nodes.size(); ++i) {
    if (model.cost.nodes[i].kind != "output") rows.push_back(row_of(model, i));
  }
  rows.push_back(totals_row(model));
  const Cost& cost = model.cost;
  return fmt::format("{}\n\n{}\npeak activations: {} KiB, at {}\n\n{}", model.name,
                     text_table(rows, 3, style), kib(cost.peak_bytes),
                     cost.nodes[cost.peak_node].name, kDefinitions);
}

std::string comparison_report(const ModelCost& before, const ModelCost& after, TableStyle style) {
  return fmt::format("before: {}\n{}after: {}\n\n{}\n{}\n{}", before.name,
                     style == TableStyle::kMarkdown ? "\n" : "", after.name,
                     totals_table(before, after, style),
                     differences_table(before.cost, after.cost, style), kDefinitions);
}

std::string cost_json(const ModelCost& before, const ModelCost* after) {
  if (after == nullptr) return json_of(before).dump(2) + "\n";
  return ordered_json{{"before", json_of(before)}, {"after", json_of(*after)}}.dump(2) + "\n";
}

}  // namespace ssdq
