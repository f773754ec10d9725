#include "plain_detector.h"

#include <algorithm>
#include <map>
#include <utility>

#include <torch/torch.h>

#include "ssdq/utils/error.h"

namespace {

torch::Tensor activate_in_place(const torch::Tensor& x, ssdq::Activation activation) {
  switch (activation) {
    case ssdq::Activation::kLinear:
      return x;
    case ssdq::Activation::kRelu:
      return torch::relu_(const_cast<torch::Tensor&>(x));
    case ssdq::Activation::kRelu6:
      return torch::nn::functional::relu6(x,
                                          torch::nn::functional::ReLU6FuncOptions().inplace(true));
    default:
      ssdq::fail("the plain detector has no activation '{}'", ssdq::to_string(activation));
  }
}

torch::nn::Conv2dOptions options_of(const ssdq::Conv& conv, int64_t in_channels) {
  const auto pair = [](ssdq::Size2 size) {
    return torch::ExpandingArray<2>({size.height, size.width});
  };
  return torch::nn::Conv2dOptions(in_channels, conv.out_channels, pair(conv.kernel))
      .stride(pair(conv.stride))
      .padding(pair(conv.padding))
      .dilation(pair(conv.dilation))
      .groups(conv.groups)
      .bias(conv.bias && !conv.batch_norm);
}

torch::Tensor max_pool(const torch::Tensor& x, const ssdq::Pool& pool) {
  return torch::max_pool2d(x, {pool.kernel.height, pool.kernel.width},
                           {pool.stride.height, pool.stride.width},
                           {pool.padding.height, pool.padding.width}, 1, pool.ceil_mode);
}

torch::Tensor flat(const torch::Tensor& map, int64_t values) {
  return map.permute({0, 2, 3, 1}).contiguous().view({map.size(0), -1, values});
}

}  // namespace

// Makes what runs one node and registers its module.
struct PlainDetectorImpl::StepBuilder {
  PlainDetectorImpl& self;
  const ssdq::Node& node;
  int in_channels;
  PlainMethod method;
  const ssdq::QuantizationPlan& plan;

  std::string module_name() const {
    std::string name = node.name;
    std::replace(name.begin(), name.end(), '.', '_');
    return name;
  }

  Step operator()(const ssdq::Input&) {
    return [](const Inputs& x) { return x[0]; };
  }
  Step operator()(const ssdq::Output&) {
    return [](const Inputs& x) { return x[0]; };
  }

  Step operator()(const ssdq::Conv& conv) {
    PlainConvOptions options;
    options.conv = options_of(conv, in_channels);
    if (conv.batch_norm) {
      options.bn = std::make_shared<torch::nn::BatchNorm2dImpl>(
          torch::nn::BatchNorm2dOptions(conv.out_channels)
              .eps(conv.batch_norm->eps)
              .momentum(conv.batch_norm->momentum));
    }
    if (const auto entry = plan.find(node.name); entry != plan.end()) {
      options.method = method;
      options.bits = entry->second;
    }
    PlainConv layer = self.register_module(module_name(), PlainConv(options));
    self.tensors_.emplace_back(node.name + ".weight", layer->conv->weight);
    if (layer->conv->bias.defined()) {
      self.tensors_.emplace_back(node.name + ".bias", layer->conv->bias);
    }
    return [layer, activation = conv.activation](const Inputs& x) mutable {
      return activate_in_place(layer->forward(x[0]), activation);
    };
  }

  Step operator()(const ssdq::Pool& pool) {
    SSDQ_CHECK(pool.kind == ssdq::PoolKind::kMax && !pool.global,
               "{}: the plain detector has max pools only", ssdq::place(node));
    return [pool](const Inputs& x) { return max_pool(x[0], pool); };
  }
  Step operator()(const ssdq::Add& add) {
    return [add](const Inputs& x) { return activate_in_place(x[0] + x[1], add.activation); };
  }
  Step operator()(const ssdq::Concat&) {
    return [](const Inputs& x) { return torch::cat(x, 1); };
  }
  Step operator()(const ssdq::L2Norm& norm) {
    const torch::Tensor weight =
        self.register_parameter(module_name(), torch::full({in_channels}, norm.initial_scale));
    self.tensors_.emplace_back(node.name + ".weight", weight);
    return [weight](const Inputs& x) {
      const torch::Tensor length = x[0].pow(2).sum(1, true).sqrt() + 1e-10;
      return weight.view({1, -1, 1, 1}) * (x[0] / length);
    };
  }
  template <typename Other>
  Step operator()(const Other& op) {
    ssdq::fail("{}: the plain detector has no {}", ssdq::place(node), ssdq::kind_name(op));
  }
};

PlainDetectorImpl::PlainDetectorImpl(ssdq::Graph graph, int num_classes, PlainMethod method,
                                     const ssdq::QuantizationPlan& plan)
    : graph_(std::move(graph)), num_classes_(num_classes) {
  const std::vector<ssdq::Shape> shapes = ssdq::infer_shapes(graph_);
  for (const ssdq::Node& node : graph_.nodes) {
    const int in_channels = node.inputs.empty() ? 0 : shapes[node.inputs.front()].channels;
    steps_.push_back(std::visit(StepBuilder{*this, node, in_channels, method, plan}, node.op));
  }
}

void PlainDetectorImpl::copy_from(const ssdq::State& state) {
  const torch::NoGradGuard no_grad;
  const std::map<std::string, torch::Tensor> given(state.begin(), state.end());
  for (auto& [name, tensor] : tensors_) {
    tensor.copy_(given.at(name));
  }
}

ssdq::DetectorOutput PlainDetectorImpl::forward(const torch::Tensor& images) {
  std::vector<torch::Tensor> outputs;
  std::map<int, torch::Tensor> scores, boxes;  // by level
  for (size_t i = 0; i < steps_.size(); ++i) {
    Inputs inputs;
    for (const ssdq::NodeId input : graph_.nodes[i].inputs) {
      inputs.push_back(outputs[input]);
    }
    outputs.push_back(steps_[i](inputs.empty() ? Inputs{images} : inputs));
    if (const auto* output = std::get_if<ssdq::Output>(&graph_.nodes[i].op)) {
      const bool is_class = output->role == ssdq::OutputRole::kClass;
      (is_class ? scores : boxes)[output->level] =
          flat(outputs.back(), is_class ? num_classes_ : 4);
    }
  }
  const auto join = [](const std::map<int, torch::Tensor>& levels) {
    std::vector<torch::Tensor> rows;
    for (const auto& level : levels) {
      rows.push_back(level.second);
    }
    return torch::cat(rows, 1);
  };
  return {join(scores), join(boxes)};
}
