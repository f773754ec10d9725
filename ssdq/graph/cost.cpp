#include "ssdq/graph/cost.h"

#include <fmt/format.h>

#include "ssdq/graph/memory.h"

namespace ssdq {
namespace {

std::int64_t pixels(Size2 size) { return std::int64_t{size.height} * size.width; }

struct Counter {
  Shape in, out;
  NodeCost& cost;

  void operator()(const Conv& op) const {
    const std::int64_t weights =
        pixels(op.kernel) * (in.channels / op.groups) * std::int64_t{out.channels};
    const int per_channel = op.batch_norm ? 2 : op.bias ? 1 : 0;
    cost.weights = weights;
    cost.params = weights + std::int64_t{per_channel} * out.channels;
    cost.macs = weights * pixels(out.size);
  }
  void operator()(const SqueezeExcite& op) const {
    cost.macs = std::int64_t{2} * in.channels * op.squeeze_channels;
    cost.params = cost.macs + in.channels + op.squeeze_channels;
  }
  void operator()(const L2Norm& /*op*/) const { cost.params = in.channels; }
  void operator()(const Input& /*op*/) const {}
  void operator()(const Pool& /*op*/) const {}
  void operator()(const Add& /*op*/) const {}
  void operator()(const Concat& /*op*/) const {}
  void operator()(const Upsample& /*op*/) const {}
  void operator()(const Output& /*op*/) const { cost.outputs = 0; }
};

std::int64_t bytes(std::int64_t codes, int bits) { return (codes * bits + 7) / 8; }

void add_code_costs(const Graph& graph, const WidthPlan& widths, Cost& total) {
  const std::vector<int> bits = output_widths(graph, widths);
  const std::vector<NodeId> owners = tensor_owners(graph);
  std::vector<std::int64_t> output_bytes;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    NodeCost& row = total.nodes[i];
    const auto plan = widths.find(row.name);
    if (plan != widths.end()) {
      row.widths = plan->second;
    }
    row.bops = row.macs * row.widths.weights * row.widths.inputs;
    row.weight_bytes = bytes(row.weights, row.widths.weights) + 4 * (row.params - row.weights);
    row.output_bits = bits[i];
    const bool own = owners[i] == static_cast<NodeId>(i);
    row.output_bytes = own ? bytes(row.outputs, row.output_bits) : 0;
    output_bytes.push_back(row.output_bytes);
    total.bops += row.bops;
    total.weight_bytes += row.weight_bytes;
    total.output_bytes += row.output_bytes;
  }
  const std::vector<std::int64_t> live = live_bytes(graph, output_bytes);
  for (std::size_t i = 0; i < live.size(); ++i) {
    total.nodes[i].live_bytes = live[i];
    if (live[i] > total.peak_bytes) {
      total.peak_bytes = live[i];
      total.peak_node = static_cast<NodeId>(i);
    }
  }
}

}  // namespace

Cost cost(const Graph& graph, const WidthPlan& widths) {
  const std::vector<Shape> shapes = infer_shapes(graph);
  Cost total;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const Shape& out = shapes[i];
    NodeCost row;
    row.name = node.name;
    row.kind = kind_name(node.op);
    row.output = out;
    row.outputs = out.channels * pixels(out.size);
    const Shape in = node.inputs.empty() ? Shape{} : shapes[node.inputs[0]];
    std::visit(Counter{in, out, row}, node.op);
    total.params += row.params;
    total.macs += row.macs;
    total.outputs += row.outputs;
    total.nodes.push_back(std::move(row));
  }
  add_code_costs(graph, widths, total);
  return total;
}

std::string cost_table(const Cost& cost) {
  std::string table = fmt::format("{:<28} {:<15} {:>16} {:>12} {:>16}\n", "node", "kind", "output",
                                  "params", "MACs");
  for (const auto& row : cost.nodes) {
    if (row.params > 0 || row.macs > 0) {
      table += fmt::format("{:<28} {:<15} {:>16} {:>12} {:>16}\n", row.name, row.kind,
                           fmt::format("{}x{}x{}", row.output.channels, row.output.size.height,
                                       row.output.size.width),
                           row.params, row.macs);
    }
  }
  return table + fmt::format("{:<28} {:<15} {:>16} {:>12} {:>16}\n", "total", "", "", cost.params,
                             cost.macs);
}

}  // namespace ssdq
