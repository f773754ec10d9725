#include "ssdq/pruning/compensation.h"

#include <map>
#include <utility>

#include <torch/torch.h>

#include "ssdq/layers/functional.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/removed_values.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// Follows the maps of removed channels, 0 on kept ones, through the network.
class Propagation {
 public:
  Propagation(GraphModuleImpl& network, const ChannelUnits& units, const KeptUnits& kept)
      : graph_(network.graph()), shapes_(infer_shapes(graph_)) {
    for (const auto& [name, block] : network.convolutions()) {
      blocks_.emplace(name, block);
    }
    for (const auto& [name, tensor] : state(network)) {
      result_.state.emplace_back(name, tensor.detach().clone());
    }
    for (auto& [name, tensor] : result_.state) {
      tensors_.emplace(name, &tensor);
    }
    for (const auto& channels : units.of) {
      std::vector<float> removed;
      for (const int unit : channels) {
        removed.push_back(kept[unit] ? 0.0F : 1.0F);
      }
      removed_.push_back(torch::tensor(removed));
    }
  }

  Compensated run() {
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
      maps_.push_back(
          std::visit([&](const auto& op) { return follow(id, op); }, graph_.nodes[id].op));
    }
    return std::move(result_);
  }

 private:
  const torch::Tensor& input(NodeId id, size_t i = 0) const {
    return maps_[graph_.nodes[id].inputs[i]];
  }

  torch::Tensor zeros(NodeId id) const {
    const Shape& shape = shapes_[id];
    return torch::zeros({1, shape.channels, shape.size.height, shape.size.width});
  }

  // An undefined tensor stands for a map of zeros.
  torch::Tensor or_zeros(NodeId id, const torch::Tensor& map) const {
    return map.defined() ? map : zeros(id);
  }

  torch::Tensor only_removed(NodeId id, const torch::Tensor& map) const {
    return map * by_channel(removed_[id]);
  }

  bool removes_any(NodeId id) const { return removed_[id].any().item<bool>(); }

  torch::Tensor& tensor(const std::string& name) {
    const auto found = tensors_.find(name);
    SSDQ_CHECK(found != tensors_.end(), "{}: the network has no such tensor", name);
    return *found->second;
  }

  template <typename Op>
  torch::Tensor follow(NodeId, const Op&) {
    return {};
  }

  torch::Tensor follow(NodeId id, const Conv& conv) {
    const std::string& name = graph_.nodes[id].name;
    auto& block = blocks_.at(name);
    torch::Tensor made;
    if (input(id).defined()) {
      const NodeId source = graph_.nodes[id].inputs.front();
      const auto quantizer = block->options().input_quantizer;
      const auto x = quantizer ? only_removed(source, quantizer->forward(input(id))) : input(id);
      made = convolve(x, block->effective_weight().detach(), torch::Tensor(), conv);
    }
    if (conv.groups > 1) {
      return made.defined() ? only_removed(id, carried_on(block, made)) : torch::Tensor();
    }
    if (made.defined()) {
      give(id, block, made);
    }
    return removes_any(id) ? constants(id, block) : torch::Tensor();
  }

  torch::Tensor constants(NodeId id, ConvBlock& block) const {
    const auto written = written_constants(block);
    return written.defined() ? only_removed(id, written.expand_as(zeros(id))) : torch::Tensor();
  }

  // Moves the mean of the removed channels' part of a dense convolution into its mean or bias.
  void give(NodeId id, ConvBlock& block, const torch::Tensor& made) {
    const std::string& name = graph_.nodes[id].name;
    const auto mean = made.mean(std::vector<int64_t>{0, 2, 3});
    const auto kept = 1 - removed_[id];
    const auto rest = ((made - by_channel(mean)) * by_channel(kept)).abs();
    const double positions =
        std::max(kept.sum().item<double>(), 1.0) * static_cast<double>(made.size(2) * made.size(3));
    result_.residuals.push_back(
        {name, rest.max().item<double>(), rest.sum().item<double>() / positions});
    if (!block->conv().batch_norm) {
      SSDQ_CHECK(block->bias.defined(), "{}: has neither batch norm nor bias to compensate with",
                 place(graph_.nodes[id]));
      tensor(name + ".bias") += mean;
      return;
    }
    if (block->folds_first()) {
      const auto scale = block->running_scale().detach();
      tensor(name + ".bn.running_mean") -=
          torch::where(scale == 0, torch::zeros_like(mean), mean / scale);
    } else {
      tensor(name + ".bn.running_mean") -= mean;
    }
  }

  torch::Tensor follow(NodeId id, const Pool& options) {
    return input(id).defined() ? pool(input(id), options) : torch::Tensor();
  }

  torch::Tensor follow(NodeId id, const Upsample& options) {
    return input(id).defined() ? upsample(input(id), options) : torch::Tensor();
  }

  torch::Tensor follow(NodeId id, const Add& options) {
    if (!removes_any(id)) {
      return {};
    }
    torch::Tensor sum = zeros(id);
    for (size_t i = 0; i < graph_.nodes[id].inputs.size(); ++i) {
      if (input(id, i).defined()) sum = sum + input(id, i);
    }
    return only_removed(id, activate(sum, options.activation, options.leaky_slope));
  }

  torch::Tensor follow(NodeId id, const Concat&) {
    if (!removes_any(id)) {
      return {};
    }
    std::vector<torch::Tensor> parts;
    for (size_t i = 0; i < graph_.nodes[id].inputs.size(); ++i) {
      parts.push_back(or_zeros(graph_.nodes[id].inputs[i], input(id, i)));
    }
    return torch::cat(parts, 1);
  }

  torch::Tensor follow(NodeId id, const SqueezeExcite&) {
    if (input(id).defined()) {
      const std::string squeeze = graph_.nodes[id].name + ".squeeze.";
      const auto mean = input(id).mean(std::vector<int64_t>{2, 3}, /*keepdim=*/true);
      tensor(squeeze + "bias") += torch::conv2d(mean, tensor(squeeze + "weight")).flatten();
    }
    return {};
  }

  const Graph& graph_;
  std::vector<Shape> shapes_;
  std::map<std::string, ConvBlock> blocks_;
  std::map<std::string, torch::Tensor*> tensors_;
  std::vector<torch::Tensor> removed_;  // by node: 1 for removed channels
  std::vector<torch::Tensor> maps_;     // by node: the removed channels' values [1, C, H, W]
  Compensated result_;
};

}  // namespace

Compensated compensate(GraphModuleImpl& network, const ChannelUnits& units, const KeptUnits& kept) {
  const torch::NoGradGuard no_grad;
  SSDQ_CHECK(!network.is_training(), "compensation needs the network in evaluation mode");
  return Propagation(network, units, kept).run();
}

}  // namespace ssdq
