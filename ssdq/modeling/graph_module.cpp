#include "ssdq/modeling/graph_module.h"

#include <algorithm>
#include <set>

#include <torch/torch.h>

#include "ssdq/layers/functional.h"
#include "ssdq/layers/l2_norm.h"
#include "ssdq/layers/merge_quantizers.h"
#include "ssdq/layers/squeeze_excite.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

class ContainerImpl : public torch::nn::Module {};

// The convolutions whose inputs are quantized before the ReLU that makes them.
std::set<std::string> binarized(const GraphQuantization& quantization) {
  std::set<std::string> names;
  for (const auto& [name, plan] : quantization.plan) {
    if (plan.merge == MergeInputs::kNone && quantization.methods &&
        quantization.methods(plan.type, plan.options)->skips_relu(plan.abits)) {
      names.insert(name);
    }
  }
  return names;
}

}  // namespace

// Makes what runs one node and registers its module.
struct GraphModuleImpl::StepBuilder {
  GraphModuleImpl& self;
  const Node& node;
  NodeId id;
  int64_t in_channels;
  const GraphQuantization& quantization;

  const NodeQuantization* plan() const {
    const auto entry = quantization.plan.find(node.name);
    return quantization.methods && entry != quantization.plan.end() ? &entry->second : nullptr;
  }

  static Step pass() {
    return [](const Inputs& x) { return x[0]; };
  }

  template <typename Holder>
  Step owned(Holder layer) {
    self.register_dotted(node.name, layer.ptr());
    return [layer](const Inputs& x) mutable { return layer->forward(x[0]); };
  }

  Step operator()(const Input&) { return pass(); }
  Step operator()(const Output&) { return pass(); }

  Step operator()(const Conv& conv) {
    ConvBlockOptions options;
    options.in_channels = in_channels;
    options.conv = conv;
    if (self.withheld(id)) {
      options.conv.activation = Activation::kLinear;
    }
    if (const NodeQuantization* plan = this->plan()) {
      const auto method = quantization.methods(plan->type, plan->options);
      const bool before_relu = self.pending(node.inputs.front()) != Activation::kLinear;
      options.weight_quantizer =
          method->weight_quantizer({plan->wbits, true, conv.out_channels, node.name});
      options.input_quantizer = method->activation_quantizer(
          {plan->abits, plan->input_signed || before_relu, in_channels, node.name});
      options.folding = method->batch_norm_folding();
      hand_back(options);
    }
    ConvBlock block(std::move(options));
    self.convolutions_.emplace_back(node.name, block);
    self.blocks_.emplace(id, block);
    return owned(block);
  }

  // Lets the block in front apply the input quantizer where nobody else sees its output.
  void hand_back(ConvBlockOptions& options) {
    const NodeId source = node.inputs.front();
    const auto block = self.blocks_.find(source);
    if (options.input_quantizer && options.folding == BatchNormFolding::kNone &&
        block != self.blocks_.end() && self.uses_[source] == 1 && !self.withheld(source) &&
        block->second->can_quantize_output()) {
      block->second->quantize_output(options.input_quantizer);
      options.input_is_quantized = true;
    }
  }

  Step operator()(const Pool& options) {
    return [options](const Inputs& x) { return pool(x[0], options); };
  }
  Step operator()(const Add& op) {
    Add options = op;
    if (self.withheld(id)) {
      options.activation = Activation::kLinear;
    }
    return merged([options](const Inputs& x) { return add(x, options); });
  }
  Step operator()(const Concat&) {
    return merged([](const Inputs& x) { return x.size() == 1 ? x[0] : torch::cat(x, 1); });
  }

  // `step` with quantized inputs where the plan says so.
  Step merged(Step step) {
    const NodeQuantization* plan = this->plan();
    if (plan == nullptr || plan->abits == 32) {
      return step;
    }
    const auto method = quantization.methods(plan->type, plan->options);
    const size_t count = plan->merge == MergeInputs::kShared ? 1 : node.inputs.size();
    std::vector<QuantizerPtr> quantizers;
    for (size_t i = 0; i < count; ++i) {
      const bool is_signed = count == 1 ? plan->input_signed : bool{plan->inputs_signed[i]};
      quantizers.push_back(
          method->activation_quantizer({plan->abits, is_signed, in_channels, node.name}));
      if (!quantizers.back()) {
        return step;  // the method calls this width float
      }
    }
    MergeQuantizers merge(std::move(quantizers));
    self.register_dotted(node.name, merge.ptr());
    return [merge, step](const Inputs& x) mutable { return step(merge->forward(x)); };
  }
  Step operator()(const Upsample& options) {
    return [options](const Inputs& x) { return upsample(x[0], options); };
  }
  Step operator()(const SqueezeExcite& op) {
    return owned(SqueezeExciteLayer(SqueezeExciteOptions{in_channels, op}));
  }
  Step operator()(const L2Norm& op) {
    return owned(L2NormLayer(L2NormOptions{in_channels, op.initial_scale}));
  }
};

GraphModuleImpl::GraphModuleImpl(Graph graph, const std::vector<Shape>& shapes,
                                 const GraphQuantization& quantization, std::vector<NodeId> wanted)
    : graph_(std::move(graph)),
      wanted_(std::move(wanted)),
      pre_activations_(plan_pre_activations(graph_, binarized(quantization))) {
  const size_t count = graph_.nodes.size();
  SSDQ_CHECK(shapes.size() == count, "{} shapes for a graph of {} nodes", shapes.size(), count);
  uses_.resize(count);
  for (const Node& node : graph_.nodes) {
    for (const NodeId input : node.inputs) {
      ++uses_[input];
    }
  }
  for (const NodeId id : wanted_) {
    ++uses_[id];
  }
  std::vector<size_t> last_use(count);
  for (size_t i = 0; i < count; ++i) {
    const Node& node = graph_.nodes[i];
    const int channels = node.inputs.empty() ? 0 : shapes[node.inputs.front()].channels;
    const auto id = static_cast<NodeId>(i);
    steps_.push_back(std::visit(StepBuilder{*this, node, id, channels, quantization}, node.op));
    last_use[i] = i;
    for (const NodeId input : node.inputs) {
      last_use[input] = i;
    }
  }
  expired_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (std::find(wanted_.begin(), wanted_.end(), static_cast<NodeId>(i)) == wanted_.end()) {
      expired_[last_use[i]].push_back(static_cast<NodeId>(i));
    }
  }
}

void GraphModuleImpl::register_dotted(const std::string& name,
                                      std::shared_ptr<torch::nn::Module> module) {
  torch::nn::Module* parent = this;
  size_t begin = 0;
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', begin)) {
    const std::string segment = name.substr(begin, dot - begin);
    const auto children = parent->named_children();
    const auto* child = children.find(segment);
    parent = child != nullptr
                 ? child->get()
                 : parent->register_module(segment, std::make_shared<ContainerImpl>()).get();
    begin = dot + 1;
  }
  const std::string leaf = name.substr(begin);
  SSDQ_CHECK(!parent->named_children().contains(leaf),
             "node '{}': its name is also the prefix of another node's name", name);
  parent->register_module(leaf, std::move(module));
}

std::vector<torch::Tensor> GraphModuleImpl::run(const torch::Tensor& images) {
  return run(images, {});
}

std::vector<torch::Tensor> GraphModuleImpl::run(const torch::Tensor& images,
                                                const NodeVisitor& visitor) {
  std::vector<torch::Tensor> outputs(graph_.nodes.size());
  Inputs inputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    inputs.clear();
    const std::vector<NodeId>& sources = graph_.nodes[i].inputs;
    for (size_t k = 0; k < sources.size(); ++k) {
      const torch::Tensor& x = outputs[sources[k]];
      inputs.push_back(pre_activations_.apply[i][k] ? activate(x, pending(sources[k])) : x);
    }
    if (inputs.empty()) {
      inputs.push_back(images);
    }
    outputs[i] = steps_[i](inputs);
    if (visitor) {
      visitor(static_cast<NodeId>(i), outputs[i]);
    }
    for (const NodeId id : expired_[i]) {
      outputs[id].reset();
    }
  }
  std::vector<torch::Tensor> result;
  for (const NodeId id : wanted_) {
    result.push_back(activate(outputs[id], pending(id)));
  }
  return result;
}

void GraphModuleImpl::fold_batch_norm() {
  for (auto& entry : convolutions_) {
    entry.second->fold_batch_norm();
  }
}

}  // namespace ssdq
