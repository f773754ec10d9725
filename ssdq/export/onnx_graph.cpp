#include "ssdq/export/onnx_graph.h"

#include <cmath>
#include <utility>

#include "ssdq/export/onnx_pool.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr double kL2NormEps = 1e-10;  // of layers/l2_norm.h

void expect(FloatTensors& tensors, const std::string& name, std::vector<int64_t> shape) {
  tensors[name].shape = std::move(shape);
}

void expect_conv(FloatTensors& tensors, const std::string& name, const Conv& conv, int channels) {
  expect(tensors, name + ".weight",
         {conv.out_channels, channels / conv.groups, conv.kernel.height, conv.kernel.width});
  if (conv.batch_norm) {
    for (const char* part : {".bn.weight", ".bn.bias", ".bn.running_mean", ".bn.running_var"}) {
      expect(tensors, name + part, {conv.out_channels});
    }
  } else if (conv.bias) {
    expect(tensors, name + ".bias", {conv.out_channels});
  }
}

// The weight and bias of a convolution with its batch norm, if any, folded in.
struct PlainConv {
  std::vector<float> weight, bias;
};

PlainConv fold(const FloatTensors& tensors, const std::string& name, const BatchNorm& batch_norm) {
  PlainConv folded{tensors.at(name + ".weight").values, tensors.at(name + ".bn.bias").values};
  const auto& gamma = tensors.at(name + ".bn.weight").values;
  const auto& mean = tensors.at(name + ".bn.running_mean").values;
  const auto& variance = tensors.at(name + ".bn.running_var").values;
  const size_t per_channel = folded.weight.size() / gamma.size();
  for (size_t c = 0; c < gamma.size(); ++c) {
    const double scale = gamma[c] / std::sqrt(variance[c] + batch_norm.eps);
    for (size_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
      folded.weight[i] = static_cast<float>(folded.weight[i] * scale);
    }
    folded.bias[c] = static_cast<float>(folded.bias[c] - mean[c] * scale);
  }
  return folded;
}

std::vector<OnnxAttribute> attributes_of(const Conv& conv, Size2 map) {
  const auto [before, after] = padding_of(conv, map);
  return {OnnxAttribute::integers("kernel_shape", {conv.kernel.height, conv.kernel.width}),
          OnnxAttribute::integers("strides", {conv.stride.height, conv.stride.width}),
          OnnxAttribute::integers("pads", {before.height, before.width, after.height, after.width}),
          OnnxAttribute::integers("dilations", {conv.dilation.height, conv.dilation.width}),
          OnnxAttribute::integer("group", conv.groups)};
}

// One reader of the graph: adds the ONNX nodes of each.
class GraphWriter {
 public:
  GraphWriter(OnnxBuilder& onnx, const Graph& graph, const FloatTensors& weights,
              OnnxQuantizer* quantizer)
      : onnx_(onnx),
        graph_(graph),
        weights_(weights),
        quantizer_(quantizer),
        shapes_(infer_shapes(graph)) {}

  std::vector<std::string> run(const std::string& input) {
    values_.push_back(input);
    for (size_t i = 1; i < graph_.nodes.size(); ++i) {
      node_ = &graph_.nodes[i];
      id_ = static_cast<NodeId>(i);
      out_ = shapes_[i];
      values_.push_back(std::visit([this](const auto& op) { return add(op); }, node_->op));
    }
    return values_;
  }

 private:
  std::string in(size_t i = 0) const {
    const std::string& value = values_[node_->inputs[i]];
    return quantizer_ == nullptr ? value : quantizer_->input(id_, i, value);
  }
  const Shape& in_shape() const { return shapes_[node_->inputs[0]]; }
  const std::string& name() const { return node_->name; }

  std::string constant(const std::string& tensor) {
    const FloatTensor& found = weights_.at(tensor);
    return onnx_.floats(tensor, found.shape, found.values);
  }

  std::string activated(const std::string& x, Activation activation, double slope = 0.1) {
    return add_activation(onnx_, name(), x, activation, slope);
  }

  std::string add(const Input& /*op*/) { return in(); }
  std::string add(const Output& /*op*/) { return in(); }

  std::string add(const Conv& conv) {
    const auto y = quantizer_ == nullptr
                       ? convolved(conv)
                       : quantizer_->conv(*node_, in(), attributes_of(conv, in_shape().size));
    return activated(y, conv.activation, conv.leaky_slope);
  }

  std::string convolved(const Conv& conv) {
    std::vector<std::string> inputs = {in()};
    if (conv.batch_norm) {
      const PlainConv folded = fold(weights_, name(), *conv.batch_norm);
      inputs.push_back(
          onnx_.floats(name() + ".weight", weights_.at(name() + ".weight").shape, folded.weight));
      inputs.push_back(onnx_.floats(name() + ".bias", {conv.out_channels}, folded.bias));
    } else {
      inputs.push_back(constant(name() + ".weight"));
      if (conv.bias) {
        inputs.push_back(constant(name() + ".bias"));
      }
    }
    return onnx_.node("Conv", name(), std::move(inputs), attributes_of(conv, in_shape().size));
  }

  std::string add(const Pool& pool) {
    return add_pool(onnx_, name(), in(), pool, in_shape().size, out_.size);
  }

  std::string add(const Add& op) {
    std::string sum = in(0);
    for (size_t i = 1; i < node_->inputs.size(); ++i) {
      const bool last = i + 1 == node_->inputs.size();
      sum = onnx_.node("Add", last ? name() : name() + "/sum" + std::to_string(i), {sum, in(i)});
    }
    return activated(sum, op.activation, op.leaky_slope);
  }

  std::string add(const Concat& /*op*/) {
    std::vector<std::string> inputs;
    for (size_t i = 0; i < node_->inputs.size(); ++i) {
      inputs.push_back(in(i));
    }
    return inputs.size() == 1 ? inputs[0]
                              : onnx_.node("Concat", name(), std::move(inputs),
                                           {OnnxAttribute::integer("axis", 1)});
  }

  std::string add(const Upsample& op) {
    const auto factor = static_cast<float>(op.factor);
    const auto unused = onnx_.floats(name() + "/roi", {0}, {});
    const auto scales = onnx_.floats(name() + "/scales", {4}, {1, 1, factor, factor});
    return onnx_.node("Resize", name(), {in(), unused, scales},
                      {OnnxAttribute::text("mode", "nearest"),
                       OnnxAttribute::text("coordinate_transformation_mode", "asymmetric"),
                       OnnxAttribute::text("nearest_mode", "floor")});
  }

  std::string add(const SqueezeExcite& op) {
    const auto mean = onnx_.node("GlobalAveragePool", name() + "/mean", {in()});
    const auto squeezed = dense("squeeze", mean);
    const auto inner = add_activation(onnx_, squeezed, squeezed, op.inner);
    const auto excited = dense("excite", inner);
    const auto gate = add_activation(onnx_, excited, excited, op.gate);
    return activated(onnx_.node("Mul", name(), {in(), gate}), op.activation);
  }

  // A 1x1 convolution of the squeeze-excite block.
  std::string dense(const std::string& part, const std::string& x) {
    const std::string tensor = name() + "." + part;
    return onnx_.node("Conv", name() + "/" + part,
                      {x, constant(tensor + ".weight"), constant(tensor + ".bias")},
                      {OnnxAttribute::integers("kernel_shape", {1, 1})});
  }

  std::string add(const L2Norm& /*op*/) {
    const std::vector<OnnxAttribute> keep = {OnnxAttribute::integer("keepdims", 1)};
    std::string length;
    if (onnx_.opset() >= 18) {
      const auto axes = onnx_.int64s(name() + "/axes", {1}, {1});
      length = onnx_.node("ReduceL2", name() + "/length", {in(), axes}, keep);
    } else {
      length = onnx_.node("ReduceL2", name() + "/length", {in()},
                          {keep[0], OnnxAttribute::integers("axes", {1})});
    }
    const auto eps = onnx_.scalar(name() + "/eps", kL2NormEps);
    const auto norm = onnx_.node("Add", name() + "/norm", {length, eps});
    const auto unit = onnx_.node("Div", name() + "/unit", {in(), norm});
    const FloatTensor& scale = weights_.at(name() + ".weight");
    return onnx_.node(
        "Mul", name(),
        {unit, onnx_.floats(name() + ".weight", {1, out_.channels, 1, 1}, scale.values)});
  }

  OnnxBuilder& onnx_;
  const Graph& graph_;
  const FloatTensors& weights_;
  OnnxQuantizer* const quantizer_;
  const std::vector<Shape> shapes_;
  const Node* node_ = nullptr;
  NodeId id_ = 0;
  Shape out_;  // of node_
  std::vector<std::string> values_;
};

}  // namespace

FloatTensors expected_tensors(const Graph& graph) {
  FloatTensors tensors;
  const std::vector<Shape> shapes = infer_shapes(graph);
  for (const Node& node : graph.nodes) {
    const int channels = node.inputs.empty() ? 0 : shapes[node.inputs[0]].channels;
    if (const auto* conv = std::get_if<Conv>(&node.op)) {
      expect_conv(tensors, node.name, *conv, channels);
    } else if (const auto* squeeze = std::get_if<SqueezeExcite>(&node.op)) {
      const int inner = squeeze->squeeze_channels;
      expect(tensors, node.name + ".squeeze.weight", {inner, channels, 1, 1});
      expect(tensors, node.name + ".squeeze.bias", {inner});
      expect(tensors, node.name + ".excite.weight", {channels, inner, 1, 1});
      expect(tensors, node.name + ".excite.bias", {channels});
    } else if (std::holds_alternative<L2Norm>(node.op)) {
      expect(tensors, node.name + ".weight", {channels});
    }
  }
  return tensors;
}

std::vector<std::string> add_graph(OnnxBuilder& onnx, const Graph& graph,
                                   const FloatTensors& weights, const std::string& input,
                                   OnnxQuantizer* quantizer) {
  return GraphWriter(onnx, graph, weights, quantizer).run(input);
}

std::string add_activation(OnnxBuilder& onnx, const std::string& name, const std::string& x,
                           Activation activation, double leaky_slope) {
  const std::vector<OnnxAttribute> sixth = {OnnxAttribute::real("alpha", 1.0 / 6),
                                            OnnxAttribute::real("beta", 0.5)};
  const std::string y = name + "/" + to_string(activation);
  switch (activation) {
    case Activation::kLinear:
      return x;
    case Activation::kRelu:
      return onnx.node("Relu", y, {x});
    case Activation::kRelu6:
      return onnx.node("Clip", y, {x, onnx.scalar(y + "/min", 0), onnx.scalar(y + "/max", 6)});
    case Activation::kLeaky:
      return onnx.node("LeakyRelu", y, {x}, {OnnxAttribute::real("alpha", leaky_slope)});
    case Activation::kHSwish:
      return onnx.opset() >= 14
                 ? onnx.node("HardSwish", y, {x})
                 : onnx.node("Mul", y, {x, onnx.node("HardSigmoid", y + "/gate", {x}, sixth)});
    case Activation::kSwish:
      return onnx.node("Mul", y, {x, onnx.node("Sigmoid", y + "/gate", {x})});
    case Activation::kHSigmoid:
      return onnx.node("HardSigmoid", y, {x}, sixth);
    case Activation::kSigmoid:
      return onnx.node("Sigmoid", y, {x});
  }
  return x;
}

}  // namespace ssdq
