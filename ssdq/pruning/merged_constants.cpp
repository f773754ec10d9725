#include "ssdq/pruning/merged_constants.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include <torch/torch.h>

#include "ssdq/layers/functional.h"
#include "ssdq/layers/merge_quantizers.h"
#include "ssdq/modeling/state.h"
#include "ssdq/pruning/removed_values.h"
#include "ssdq/utils/error.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

using Channels = std::vector<int64_t>;

// How a node takes the constants of a group, or all of its nodes do.
struct Reading {
  std::string obstacle;  // to a carrier; empty: none
  bool exact = true;     // with compensate()
};

class Merging {
 public:
  Merging(GraphModuleImpl& network, const ChannelUnits& units, const KeptUnits& kept)
      : graph_(network.graph()),
        units_(units),
        shapes_(infer_shapes(graph_)),
        groups_(channel_groups(graph_, units)),
        group_of_(static_cast<size_t>(units.count), -1) {
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (const int unit : groups_[g].units) {
        if (!kept[unit]) group_of_[unit] = static_cast<int>(g);
      }
    }
    for (const auto& [name, block] : network.convolutions()) {
      blocks_.emplace(graph_.find(name), block);
    }
    for (const auto& entry : network.named_modules("", /*include_self=*/false)) {
      if (std::dynamic_pointer_cast<MergeQuantizersImpl>(entry.value())) {
        quantized_merges_.insert(graph_.find(entry.key()));
      }
    }
    for (const auto& [name, tensor] : state(network)) {
      result_.state.emplace_back(name, tensor.detach().clone());
      tensors_.emplace(result_.state.back());
    }
    result_.kept = kept;
    removed_ = walk([this](NodeId id, const torch::Tensor& input) { return removed(id, input); });
    carried_ = walk([this](NodeId id, const torch::Tensor&) { return carried(id); });
  }

  MergedConstants run() {
    for (int group = 0; group < static_cast<int>(groups_.size()); ++group) {
      const Reading reading = read(group);
      if (reading.exact) {
        continue;
      }
      if (reading.obstacle.empty()) {
        carry(group);
      } else {
        result_.left_out.push_back(name_of(group) + ": " + reading.obstacle);
      }
    }
    return std::move(result_);
  }

 private:
  // By node [1, C, 1, 1]: what all of its channels carry when convolutions make `written` of the
  // node and of what it reads. Means nothing behind a node that no constant passes.
  template <typename Written>
  std::vector<torch::Tensor> walk(const Written& written) {
    std::vector<torch::Tensor> values;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
      const Node& node = graph_.nodes[id];
      std::vector<torch::Tensor> inputs;
      for (const NodeId input : node.inputs) {
        inputs.push_back(values[input]);
      }
      if (inputs.empty()) {
        values.push_back(zeros(id));
      } else if (std::holds_alternative<Conv>(node.op)) {
        values.push_back(written(id, inputs.front()));
      } else if (const auto* options = std::get_if<Add>(&node.op)) {
        values.push_back(add(inputs, *options));
      } else {
        values.push_back(torch::cat(inputs, 1));
      }
    }
    return values;
  }

  torch::Tensor zeros(NodeId id) const { return torch::zeros({1, shapes_[id].channels, 1, 1}); }

  torch::Tensor removed(NodeId id, const torch::Tensor& input) {
    ConvBlock& block = blocks_.at(id);
    if (is_depthwise(id)) {
      const auto sums = block->effective_weight().sum(std::vector<int64_t>{1, 2, 3});
      return carried_on(block, input * sums.view({1, -1, 1, 1}));
    }
    const auto written = written_constants(block);
    return written.defined() ? written : zeros(id);
  }

  torch::Tensor carried(NodeId id) {
    const auto& block = blocks_.at(id);
    const Conv& conv = block->conv();
    const bool shifts = conv.batch_norm || block->bias.defined();
    return activate(shifts ? torch::ones_like(zeros(id)) : zeros(id), conv.activation,
                    conv.leaky_slope);
  }

  NodeId source_of(NodeId id) const { return graph_.nodes[id].inputs.front(); }

  // It alone hands on the channels that it reads.
  bool is_depthwise(NodeId id) const {
    const auto* conv = std::get_if<Conv>(&graph_.nodes[id].op);
    return conv != nullptr && conv->groups > 1 && units_.of[id] == units_.of[source_of(id)];
  }

  bool is_padded(NodeId id) const {
    const auto& conv = std::get<Conv>(graph_.nodes[id].op);
    const Padding padding = padding_of(conv, shapes_[source_of(id)].size);
    return padding.before != Size2{} || padding.after != Size2{};
  }

  bool has_quantizers(NodeId id) const {
    const auto& options = blocks_.at(id)->options();
    return options.weight_quantizer || options.input_quantizer;
  }

  std::string name_of(int group) const {
    std::vector<std::string> names;
    for (const NodeId id : groups_[group].convs) {
      names.push_back(graph_.nodes[id].name);
    }
    return join(names, ", ");
  }

  // Removed channels of a node that are of the group.
  Channels channels_of(NodeId id, int group) const {
    Channels channels;
    for (size_t c = 0; c < units_.of[id].size(); ++c) {
      if (group_of_[units_.of[id][c]] == group) channels.push_back(static_cast<int64_t>(c));
    }
    return channels;
  }

  int carrier_of(int group) const {
    const auto& units = groups_[group].units;
    return *std::find_if(units.begin(), units.end(),
                         [&](int unit) { return group_of_[unit] == group; });
  }

  // The first channel of a node with the group's carrier; -1 where that carries nothing.
  int64_t carrier_channel(NodeId id, int group) const {
    const auto& of = units_.of[id];
    const auto found = std::find(of.begin(), of.end(), carrier_of(group));
    const auto channel = found - of.begin();
    return found != of.end() && carried_[id][0][channel].item<double>() != 0 ? channel : -1;
  }

  torch::Tensor constants(NodeId id, const Channels& channels) const {
    return removed_[id].index_select(1, torch::tensor(channels)).to(torch::kDouble);
  }

  Reading read(int group) {
    Reading all{groups_[group].fixed, true};
    const auto meet = [&](NodeId id, const std::string& obstacle) {
      if (all.obstacle.empty() && !obstacle.empty()) {
        all.obstacle = graph_.nodes[id].name + " " + obstacle;
      }
    };
    for (const NodeId id : groups_[group].convs) {
      const ConvBlock& block = blocks_.at(id);
      if (block->options().weight_quantizer && (!block->conv().batch_norm || block->folds_first()))
        meet(id, "quantizes the weights of its constants");
    }
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
      for (const NodeId source : graph_.nodes[id].inputs) {
        const Channels channels = channels_of(source, group);
        if (channels.empty()) continue;
        const Reading one = read(id, source, group, channels);
        meet(id, one.obstacle);
        all.exact = all.exact && one.exact;
      }
    }
    return all;
  }

  Reading read(NodeId id, NodeId source, int group, const Channels& channels) {
    const Op& op = graph_.nodes[id].op;
    const bool zero = !constants(source, channels).any().item<bool>();
    if (quantized_merges_.count(id) > 0) return {"quantizes what it merges", zero};
    if (std::holds_alternative<SqueezeExcite>(op)) return {"is a squeeze-excite", zero};
    if (std::holds_alternative<L2Norm>(op)) return {"is an L2Norm", zero};
    if (const auto* pool = std::get_if<Pool>(&op)) {
      const bool pads =
          pool->kind == PoolKind::kAverage && !pool->global && pool->padding != Size2{};
      return {pads ? "averages its padding" : "", !pads || zero};
    }
    if (!std::holds_alternative<Conv>(op)) return {};
    if (is_depthwise(id)) return read_depthwise(id, source, channels);
    const bool exact = zero || !is_padded(id) || shapes_[id].size == Size2{1, 1};
    if (has_quantizers(id)) return {"is quantized", exact};
    return {zero || carrier_channel(source, group) >= 0 ? "" : "reads channels without a bias",
            exact};
  }

  Reading read_depthwise(NodeId id, NodeId source, const Channels& channels) {
    const ConvBlock& block = blocks_.at(id);
    auto taps = block->weight.abs().sum(std::vector<int64_t>{1, 2, 3});
    if (block->conv().batch_norm) taps = taps * block->bn->weight;
    const auto passed =
        constants(source, channels).flatten() * taps.index({torch::tensor(channels)});
    const bool varies = is_padded(id) && passed.any().item<bool>();
    if (varies) return {"is a depthwise convolution with padding", false};
    return {has_quantizers(id) ? "is quantized" : "", true};
  }

  void carry(int group) {
    const int carrier = carrier_of(group);
    result_.carriers.push_back(carrier);
    result_.kept[carrier] = true;
    for (const auto& entry : blocks_) {
      const NodeId id = entry.first;
      if (!is_depthwise(id)) merge(id, group);
      write(id, channels_of(id, group), carrier);
    }
  }

  // Puts the weights of the group's removed channels into those of its carrier.
  void merge(NodeId id, int group) {
    const NodeId source = source_of(id);
    const Channels channels = channels_of(source, group);
    if (channels.empty()) {
      return;
    }
    const auto index = torch::tensor(channels);
    auto& weight = tensors_.at(graph_.nodes[id].name + ".weight");
    const auto taps =
        (weight.index_select(1, index).to(torch::kDouble) * constants(source, channels)).sum(1);
    weight.index_fill_(1, index, 0);
    if (const int64_t channel = carrier_channel(source, group); channel >= 0) {
      weight.select(1, channel).copy_(taps / carried_[source][0][channel].item<double>());
    }
  }

  // Makes a convolution write the carrier's constant, and 0 in the other channels.
  void write(NodeId id, const Channels& channels, int carrier) {
    if (channels.empty()) {
      return;
    }
    const std::string name =
        graph_.nodes[id].name + (blocks_.at(id)->conv().batch_norm ? ".bn" : "");
    tensors_.at(name + ".weight").index_fill_(0, torch::tensor(channels), 0);
    const auto shift = tensors_.find(name + ".bias");
    if (shift == tensors_.end()) {
      return;
    }
    for (const int64_t channel : channels) {
      shift->second[channel] = units_.of[id][channel] == carrier ? 1 : 0;
    }
  }

  const Graph& graph_;
  const ChannelUnits& units_;
  std::vector<Shape> shapes_;
  std::vector<ChannelGroup> groups_;
  std::vector<int> group_of_;  // by unit, -1 for kept ones
  std::map<NodeId, ConvBlock> blocks_;
  std::set<NodeId> quantized_merges_;
  std::map<std::string, torch::Tensor> tensors_;  // those of the result
  // By node [1, C, 1, 1]: the constants of its channels if they are removed, or carriers.
  std::vector<torch::Tensor> removed_, carried_;
  MergedConstants result_;
};

}  // namespace

MergedConstants merge_constants(GraphModuleImpl& network, const ChannelUnits& units,
                                const KeptUnits& kept) {
  const torch::NoGradGuard no_grad;
  SSDQ_CHECK(!network.is_training(), "merging constants needs the network in evaluation mode");
  return Merging(network, units, kept).run();
}

}  // namespace ssdq
