#include "ssdq/graph/memory.h"
#include "ssdq/structures/code_width.h"

#include <algorithm>

namespace ssdq {
namespace {

bool is_route(const Node& node) {
  return std::holds_alternative<Concat>(node.op) && node.inputs.size() == 1;
}

bool keeps_codes(const Node& node) {
  const auto* pool = std::get_if<Pool>(&node.op);
  return (pool != nullptr && pool->kind == PoolKind::kMax) ||
         std::holds_alternative<Upsample>(node.op) || is_route(node);
}

std::vector<NodeId> results(const Graph& graph) {
  std::vector<NodeId> found;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (std::holds_alternative<Output>(graph.nodes[i].op)) {
      found.push_back(static_cast<NodeId>(i));
    }
  }
  return found.empty() ? graph.features : found;
}

}  // namespace

std::vector<int> output_widths(const Graph& graph, const WidthPlan& widths) {
  std::vector<int> bits(graph.nodes.size(), 0);  // 0: no reader yet
  for (const NodeId id : results(graph)) {
    bits[id] = kFloatBits;
  }
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    bits[i] = bits[i] == 0 ? kFloatBits : bits[i];
    const auto plan = widths.find(node.name);
    const int wanted = plan != widths.end() ? plan->second.inputs
                       : keeps_codes(node)  ? bits[i]
                                            : kFloatBits;
    for (const NodeId input : node.inputs) {
      bits[input] = std::max(bits[input], wanted);
    }
  }
  return bits;
}

std::vector<NodeId> tensor_owners(const Graph& graph) {
  std::vector<NodeId> owners;
  for (const Node& node : graph.nodes) {
    const bool copies = !std::holds_alternative<Output>(node.op) && !is_route(node);
    owners.push_back(copies ? static_cast<NodeId>(owners.size()) : owners[node.inputs.front()]);
  }
  return owners;
}

std::vector<std::int64_t> live_bytes(const Graph& graph,
                                     const std::vector<std::int64_t>& output_bytes) {
  const std::vector<NodeId> owners = tensor_owners(graph);
  const std::size_t count = graph.nodes.size();
  std::vector<std::size_t> last_use(count);
  for (std::size_t i = 0; i < count; ++i) {
    last_use[i] = i;
    for (const NodeId input : graph.nodes[i].inputs) {
      last_use[owners[input]] = i;
    }
  }
  for (const NodeId id : results(graph)) {
    last_use[owners[id]] = count - 1;
  }
  std::vector<std::int64_t> live(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = i; k <= last_use[i]; ++k) {
      live[k] += output_bytes[i];
    }
  }
  return live;
}

}  // namespace ssdq
