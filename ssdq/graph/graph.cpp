#include "ssdq/graph/graph.h"

#include <tuple>

#include <fmt/format.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

bool same_activation(Activation a, double slope_a, Activation b, double slope_b) {
  return a == b && (a != Activation::kLeaky || slope_a == slope_b);
}

bool same(const Input& a, const Input& b) { return a.channels == b.channels && a.size == b.size; }

bool same(const Conv& a, const Conv& b) {
  const auto attributes = [](const Conv& c) {
    return std::tie(c.out_channels, c.groups, c.kernel, c.stride, c.same_padding, c.dilation);
  };
  if (attributes(a) != attributes(b) || (!a.same_padding && a.padding != b.padding) ||
      a.batch_norm.has_value() != b.batch_norm.has_value() ||
      !same_activation(a.activation, a.leaky_slope, b.activation, b.leaky_slope)) {
    return false;
  }
  if (!a.batch_norm) {
    return a.bias == b.bias;
  }
  return a.batch_norm->eps == b.batch_norm->eps && a.batch_norm->momentum == b.batch_norm->momentum;
}

bool same(const Pool& a, const Pool& b) {
  if (a.kind != b.kind || a.global != b.global) {
    return false;
  }
  return a.global || std::tie(a.kernel, a.stride, a.padding, a.ceil_mode) ==
                         std::tie(b.kernel, b.stride, b.padding, b.ceil_mode);
}

bool same(const Add& a, const Add& b) {
  return same_activation(a.activation, a.leaky_slope, b.activation, b.leaky_slope);
}

bool same(const Concat& /*a*/, const Concat& /*b*/) { return true; }

bool same(const Upsample& a, const Upsample& b) { return a.factor == b.factor; }

bool same(const SqueezeExcite& a, const SqueezeExcite& b) {
  return std::tie(a.squeeze_channels, a.inner, a.gate, a.activation) ==
         std::tie(b.squeeze_channels, b.inner, b.gate, b.activation);
}

bool same(const L2Norm& a, const L2Norm& b) { return a.initial_scale == b.initial_scale; }

bool same(const Output& a, const Output& b) { return a.role == b.role && a.level == b.level; }

bool same(const Op& a, const Op& b) {
  return a.index() == b.index() &&
         std::visit([&b](const auto& x) { return same(x, std::get<std::decay_t<decltype(x)>>(b)); },
                    a);
}

bool same(const Node& a, const Node& b) {
  const auto& qa = a.quantization;
  const auto& qb = b.quantization;
  return std::tie(a.name, a.inputs, a.backbone, qa.enabled, qa.wbits, qa.abits) ==
             std::tie(b.name, b.inputs, b.backbone, qb.enabled, qb.wbits, qb.abits) &&
         same(a.op, b.op);
}

struct KindName {
  const char* operator()(const Input& /*op*/) const { return "input"; }
  const char* operator()(const Conv& op) const {
    return op.groups > 1 && op.groups == op.out_channels ? "depthwise" : "conv";
  }
  const char* operator()(const Pool& op) const {
    return op.kind == PoolKind::kMax ? "max_pool" : "avg_pool";
  }
  const char* operator()(const Add& /*op*/) const { return "add"; }
  const char* operator()(const Concat& /*op*/) const { return "concat"; }
  const char* operator()(const Upsample& /*op*/) const { return "upsample"; }
  const char* operator()(const SqueezeExcite& /*op*/) const { return "squeeze_excite"; }
  const char* operator()(const L2Norm& /*op*/) const { return "l2_norm"; }
  const char* operator()(const Output& /*op*/) const { return "output"; }
};

}  // namespace

NodeId Graph::find(const std::string& name) const {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].name == name) {
      return static_cast<NodeId>(i);
    }
  }
  fail("the network has no node named '{}'", name);
}

bool operator==(const Graph& a, const Graph& b) {
  if (a.nodes.size() != b.nodes.size() || a.features != b.features) {
    return false;
  }
  for (std::size_t i = 0; i < a.nodes.size(); ++i) {
    if (!same(a.nodes[i], b.nodes[i])) {
      return false;
    }
  }
  return true;
}

bool operator!=(const Graph& a, const Graph& b) { return !(a == b); }

const char* to_string(Activation activation) {
  switch (activation) {
    case Activation::kLinear:
      return "linear";
    case Activation::kRelu:
      return "relu";
    case Activation::kRelu6:
      return "relu6";
    case Activation::kLeaky:
      return "leaky";
    case Activation::kHSwish:
      return "h_swish";
    case Activation::kSwish:
      return "swish";
    case Activation::kHSigmoid:
      return "h_sigmoid";
    case Activation::kSigmoid:
      return "sigmoid";
  }
  return "?";
}

const char* kind_name(const Op& op) { return std::visit(KindName{}, op); }

std::string place(const Node& node) {
  if (node.origin.file.empty()) {
    return node.name;
  }
  return node.origin.line > 0
             ? fmt::format("{}:{}: {}", node.origin.file, node.origin.line, node.name)
             : fmt::format("{}: {}", node.origin.file, node.name);
}

}  // namespace ssdq
