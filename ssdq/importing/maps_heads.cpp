#include <utility>

#include <fmt/format.h>

#include "ssdq/importing/graph_parts.h"
#include "ssdq/importing/name_maps.h"

namespace ssdq {
namespace {

void add_chain(NameMap& map, const Graph& graph, const FileNames& names,
               const std::vector<NodeId>& chain, const std::string& module,
               const std::string& inner) {
  const std::string& last = graph.nodes[chain.back()].name;
  if (chain.size() == 1) {
    map[last] = {module, ""};
    return;
  }
  const std::string stem = module + "." + inner;
  const bool batch_norm = names.count(stem + "3.weight") > 0;
  map[graph.nodes[chain.front()].name] = {stem + "0", batch_norm ? stem + "1" : ""};
  map[last] = {stem + (batch_norm ? "3" : "2"), ""};
}

}  // namespace

void add_heads(NameMap& map, const Graph& graph, const FileNames& names, const HeadNames& heads) {
  for (const auto& [role, prefix] :
       {std::pair{OutputRole::kClass, heads.classes}, std::pair{OutputRole::kBox, heads.boxes}}) {
    const auto levels = head_levels(graph, role);
    for (size_t level = 0; level < levels.size(); ++level) {
      if (!levels[level].empty()) {
        add_chain(map, graph, names, levels[level], fmt::format("{}{}", prefix, level),
                  heads.inner);
      }
    }
  }
}

void add_lufficc_heads(NameMap& map, const Graph& graph, const FileNames& names) {
  add_heads(map, graph, names,
            {"box_head.predictor.cls_headers.", "box_head.predictor.reg_headers.", "conv."});
}

}  // namespace ssdq
