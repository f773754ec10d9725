#include "ssdq/pruning/surgery.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <torch/torch.h>

#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

// A tensor of a node: "backbone.3.bn.weight" is "bn.weight" of "backbone.3".
struct Part {
  NodeId node = 0;
  std::string name;
};

// Node names may be prefixes of one another ("backbone.3", "backbone.3.l2_norm"): the longest
// fits.
class Parts {
 public:
  explicit Parts(const Graph& graph) {
    for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
      nodes_[graph.nodes[id].name] = id;
    }
  }

  Part of(const std::string& tensor) const {
    for (size_t dot = tensor.rfind('.'); dot != std::string::npos && dot > 0;
         dot = tensor.rfind('.', dot - 1)) {
      const auto node = nodes_.find(tensor.substr(0, dot));
      if (node != nodes_.end()) {
        return {node->second, tensor.substr(dot + 1)};
      }
    }
    fail("{}: the tensor belongs to no node of the network", tensor);
  }

 private:
  std::map<std::string, NodeId> nodes_;
};

class Surgery {
 public:
  Surgery(const Graph& graph, const ChannelUnits& units, const KeptUnits& kept)
      : graph_(graph), units_(units), kept_(kept), parts_(graph) {}

  torch::Tensor prune(const std::string& name, const torch::Tensor& tensor) const {
    const auto [id, part] = parts_.of(name);
    const Node& node = graph_.nodes[id];
    if (tensor.dim() == 0 || node.inputs.empty()) {
      return tensor;
    }
    if (const auto* conv = std::get_if<Conv>(&node.op)) {
      return prune_conv(id, *conv, part, tensor);
    }
    if (std::holds_alternative<SqueezeExcite>(node.op)) {
      return part == "squeeze.weight"       ? columns(tensor, id)
             : starts_with(part, "excite.") ? rows(tensor, id)
                                            : tensor;
    }
    return std::holds_alternative<L2Norm>(node.op) && part == "weight" ? rows(tensor, id) : tensor;
  }

  torch::Tensor mask(const std::string& name, const torch::Tensor& tensor) const {
    const auto [id, part] = parts_.of(name);
    const auto* conv = std::get_if<Conv>(&graph_.nodes[id].op);
    if (conv == nullptr) {
      return tensor;
    }
    const bool zeroed = conv->batch_norm ? part == "bn.weight" || part == "bn.bias"
                                         : part == "weight" || part == "bias";
    const auto keeps = kept_channels(units_, id, kept_);
    if (!zeroed || static_cast<int64_t>(keeps.size()) == tensor.size(0)) {
      return tensor;
    }
    const auto index = indices(keeps, tensor);
    return torch::zeros_like(tensor).index_copy_(0, index, tensor.index_select(0, index));
  }

 private:
  static torch::Tensor indices(const std::vector<int64_t>& channels, const torch::Tensor& like) {
    return torch::tensor(channels, torch::TensorOptions(torch::kLong).device(like.device()));
  }

  torch::Tensor select(const torch::Tensor& tensor, int64_t dim, NodeId node) const {
    SSDQ_CHECK(tensor.size(dim) == static_cast<int64_t>(units_.of[node].size()),
               "{}: a tensor has {} channels, the node {}", graph_.nodes[node].name,
               tensor.size(dim), units_.of[node].size());
    return tensor.index_select(dim, indices(kept_channels(units_, node, kept_), tensor));
  }

  torch::Tensor rows(const torch::Tensor& tensor, NodeId node) const {
    return select(tensor, 0, node);
  }

  torch::Tensor columns(const torch::Tensor& tensor, NodeId node) const {
    return select(tensor, 1, graph_.nodes[node].inputs.front());
  }

  torch::Tensor prune_conv(NodeId id, const Conv& conv, const std::string& part,
                           const torch::Tensor& tensor) const {
    if (part == "weight") {
      const auto selected = rows(tensor, id);
      return conv.groups == 1 ? columns(selected, id) : selected;
    }
    if (part == "bias" || starts_with(part, "bn.")) {
      return rows(tensor, id);
    }
    const bool by_channel =
        starts_with(part, "weight_quantizer.") && tensor.size(0) == conv.out_channels;
    return by_channel ? rows(tensor, id) : tensor;
  }

  const Graph& graph_;
  const ChannelUnits& units_;
  const KeptUnits& kept_;
  Parts parts_;
};

}  // namespace

State prune_state(const Graph& graph, const ChannelUnits& units, const KeptUnits& kept,
                  const State& state) {
  const torch::NoGradGuard no_grad;
  const Surgery surgery(graph, units, kept);
  State pruned;
  for (const auto& [name, tensor] : state) {
    pruned.emplace_back(name, surgery.prune(name, tensor).detach());
  }
  return pruned;
}

State mask_state(const Graph& graph, const ChannelUnits& units, const KeptUnits& kept,
                 const State& state) {
  const torch::NoGradGuard no_grad;
  const Surgery surgery(graph, units, kept);
  State masked;
  for (const auto& [name, tensor] : state) {
    masked.emplace_back(name, surgery.mask(name, tensor).detach());
  }
  return masked;
}

State state_of_part(const Graph& whole, const Graph& part, const State& state) {
  std::set<std::string> nodes;
  for (const Node& node : part.nodes) {
    nodes.insert(node.name);
  }
  const Parts parts(whole);
  State kept;
  std::copy_if(state.begin(), state.end(), std::back_inserter(kept), [&](const auto& entry) {
    return nodes.count(whole.nodes[parts.of(entry.first).node].name) > 0;
  });
  return kept;
}

}  // namespace ssdq
