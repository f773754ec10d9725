#include "ssdq/graph/tree.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "ssdq/graph/describe.h"
#include "ssdq/graph/text_table.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

using Row = std::vector<std::string>;

// A part of a dotted name with what hangs below it, in node order.
struct Branch {
  std::string segment;
  NodeId node = -1;  // -1: only a prefix
  std::int64_t params = 0;
  std::vector<std::unique_ptr<Branch>> children;
};

Branch& child(Branch& parent, const std::string& segment) {
  for (const auto& one : parent.children) {
    if (one->segment == segment) return *one;
  }
  parent.children.push_back(std::make_unique<Branch>());
  parent.children.back()->segment = segment;
  return *parent.children.back();
}

Branch build(const Graph& graph, const Cost& cost) {
  Branch root;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (std::holds_alternative<Output>(graph.nodes[i].op)) continue;
    Branch* branch = &root;
    branch->params += cost.nodes[i].params;
    for (const std::string& segment : split(graph.nodes[i].name, '.')) {
      branch = &child(*branch, segment);
      branch->params += cost.nodes[i].params;
    }
    branch->node = static_cast<NodeId>(i);
  }
  return root;
}

class Printer {
 public:
  Printer(const Graph& graph, const Cost& cost) : graph_(graph), cost_(cost) {}

  void print(const Branch& branch, std::size_t depth) {
    const std::string name = std::string(2 * depth, ' ') + branch.segment;
    if (branch.node < 0) {
      rows.push_back({name, "", "", "", "", fmt::format("{}", branch.params)});
    } else {
      const Node& node = graph_.nodes[branch.node];
      const NodeCost& of_node = cost_.nodes[branch.node];
      rows.push_back({name, describe(node.op), inputs(branch.node), level(branch.node),
                      to_string(of_node.output), fmt::format("{}", of_node.params)});
      above_ = branch.node;
    }
    for (const auto& one : branch.children) print(*one, depth + 1);
  }

  std::vector<Row> rows = {{"name", "layer", "reads", "", "output", "parameters"}};

 private:
  std::string inputs(NodeId id) const {
    const Node& node = graph_.nodes[id];
    if (node.inputs.size() == 1 && node.inputs.front() == above_) return "";
    std::vector<std::string> names;
    for (const NodeId input : node.inputs) {
      // Within the group the last segment tells enough.
      const std::string& name = graph_.nodes[input].name;
      const std::string group = node.name.substr(0, node.name.find('.') + 1);
      names.push_back(starts_with(name, group) ? name.substr(group.size()) : name);
    }
    return join(names, ", ");
  }

  std::string level(NodeId id) const {
    const auto found = std::find(graph_.features.begin(), graph_.features.end(), id);
    return found == graph_.features.end()
               ? ""
               : fmt::format("level {}", found - graph_.features.begin());
  }

  const Graph& graph_;
  const Cost& cost_;
  NodeId above_ = -1;
};

}  // namespace

std::string graph_tree(const Graph& graph, const Cost& cost) {
  const Branch root = build(graph, cost);
  Printer printer(graph, cost);
  for (const auto& one : root.children) printer.print(*one, 0);
  printer.rows.push_back({"total", "", "", "", "", fmt::format("{}", cost.params)});
  return text_table(printer.rows, 4, TableStyle::kText);
}

}  // namespace ssdq
