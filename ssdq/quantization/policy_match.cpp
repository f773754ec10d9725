#include "ssdq/quantization/policy_match.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/glob.h"
#include "ssdq/utils/strings.h"
#include "ssdq/utils/suggest.h"

namespace ssdq {
namespace {

constexpr size_t kNearest = 3;

// The names of the quantizable nodes closest to `match`, the closest first.
std::vector<std::string> nearest_nodes(const Graph& graph, const std::string& match) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) {
    if (is_quantizable(node)) names.push_back(node.name);
  }
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return edit_distance(a, match) < edit_distance(b, match);
  });
  names.resize(std::min(names.size(), kNearest));
  return names;
}

std::vector<std::string> quantizable_kinds(const Graph& graph) {
  std::set<std::string> kinds;
  for (const Node& node : graph.nodes) {
    if (is_quantizable(node)) kinds.insert(kind_name(node.op));
  }
  return {kinds.begin(), kinds.end()};
}

[[noreturn]] void refuse_rule(const Graph& graph, const QuantizationRule& rule, size_t index) {
  const std::string start =
      fmt::format("QUANTIZATION.POLICY[{}]: MATCH '{}' matches", index, rule.match);
  for (const Node& node : graph.nodes) {
    if (rule_matches(rule, node)) {
      fail_config(
          "{} only nodes without quantizers, such as {} ({}); expected a convolution, or "
          "an add or concat of several inputs",
          start, node.name, kind_name(node.op));
    }
  }
  fail_config("{} no node; the nearest are {}; kinds of this network: {}", start,
              join(nearest_nodes(graph, rule.match), ", "), join(quantizable_kinds(graph), ", "));
}

}  // namespace

bool is_quantizable(const Node& node) {
  const bool merges =
      std::holds_alternative<Add>(node.op) || std::holds_alternative<Concat>(node.op);
  return std::holds_alternative<Conv>(node.op) || (merges && node.inputs.size() > 1);
}

bool rule_matches(const QuantizationRule& rule, const Node& node) {
  return rule.match == kind_name(node.op) || glob_matches(rule.match, node.name);
}

void check_rules(const Graph& graph, const std::vector<QuantizationRule>& rules) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const bool used = std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
      return is_quantizable(node) && rule_matches(rules[i], node);
    });
    if (!used) refuse_rule(graph, rules[i], i);
  }
}

}  // namespace ssdq
