#include <fmt/format.h>

#include "ssdq/importing/graph_parts.h"
#include "ssdq/importing/name_maps.h"
#include "ssdq/utils/strings.h"

namespace ssdq {

NameMap map_own_names(const Graph& graph, const FileNames&) {
  NameMap map;
  for (const Node& node : graph.nodes) {
    if (std::holds_alternative<Conv>(node.op)) {
      map[node.name] = {node.name, node.name + ".bn"};
    } else if (std::holds_alternative<SqueezeExcite>(node.op)) {
      map[node.name] = {node.name + ".squeeze", node.name + ".excite"};
    } else if (std::holds_alternative<L2Norm>(node.op)) {
      map[node.name] = {node.name + ".weight", ""};
    }
  }
  return map;
}

// "backbone.<section>" is "backbone.module_list.<section>": both number the sections of the cfg.
// A batch norm that quantization has folded keeps its tensors in the convolution's module.
NameMap map_lufficc_cfg(const Graph& graph, const FileNames& names) {
  constexpr std::string_view kPrefix = "backbone.";
  NameMap map;
  add_lufficc_heads(map, graph, names);
  for (const Node& node : graph.nodes) {
    if (!std::holds_alternative<Conv>(node.op) || !starts_with(node.name, kPrefix)) {
      continue;
    }
    const std::string module = "backbone.module_list." + node.name.substr(kPrefix.size());
    const std::string depthwise = module + ".DepthWise2d";
    const std::string conv =
        names.count(depthwise + ".weight") > 0 ? depthwise : module + ".Conv2d";
    map[node.name] = {conv, names.count(conv + ".gamma") > 0 ? conv : module + ".BatchNorm2d"};
  }
  add_l2_norm(map, graph, "backbone.l2_norm.weight");
  return map;
}

}  // namespace ssdq
