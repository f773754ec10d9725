#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

const std::string kPrefix = "backbone.";

bool in_backbone(const Node& node) { return node.name.rfind(kPrefix, 0) == 0; }

class CfgWriter {
 public:
  explicit CfgWriter(const Graph& graph) : graph_(graph), shapes_(infer_shapes(graph)) {
    for (std::size_t level = 0; level < graph.features.size(); ++level) {
      const NodeId tap = graph.features[level];
      const bool norm = std::holds_alternative<L2Norm>(graph.nodes[tap].op);
      const NodeId section = norm ? graph.nodes[tap].inputs[0] : tap;
      if (!levels_.emplace(section, level).second) {
        refuse(graph.nodes[section], "it is a feature twice");
      }
    }
    for (std::size_t id = 1; id < graph.nodes.size(); ++id) {
      if (graph.nodes[id].backbone) {
        backbone_end_ = static_cast<NodeId>(id);
      }
    }
  }

  std::string run() {
    const auto& input = std::get<Input>(graph_.nodes[0].op);
    text_ = fmt::format("[net]\nheight={}\nwidth={}\nchannels={}\n", input.size.height,
                        input.size.width, input.channels);
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      const auto id = static_cast<NodeId>(i);
      if (!in_backbone(node)) {
        continue;
      }
      if (std::holds_alternative<L2Norm>(node.op)) {
        check_norm(id);
      } else {
        section(id);
      }
    }
    return text_;
  }

 private:
  [[noreturn]] static void refuse(const Node& node, const std::string& why) {
    fail("{}: the cfg format cannot hold this node: {}", node.name, why);
  }

  void check_norm(NodeId id) const {
    const Node& node = graph_.nodes[id];
    const bool tapped = std::count(graph_.features.begin(), graph_.features.end(), id) == 1;
    if (!tapped || node.inputs[0] != id - 1 ||
        node.name != graph_.nodes[node.inputs[0]].name + ".l2_norm") {
      refuse(node, "an L2Norm must be a feature, follow its source and be named after it");
    }
  }

  void section(NodeId id) {
    id_ = id;
    const Node& node = graph_.nodes[id];
    std::visit([this](const auto& op) { write(op); }, node.op);
    const std::string name = node.name.substr(kPrefix.size());
    if (name != std::to_string(indices_.size())) {
      put("name", name);
    }
    write_quantization(node);
    if (const auto level = levels_.find(id); level != levels_.end()) {
      write_feature(graph_.features[level->second], level->second);
    }
    if (node.backbone != (id <= backbone_end_)) {
      refuse(node, "the pre-trained part must be the first sections");
    }
    if (id == backbone_end_) {
      put("backbone", 1);
    }
    indices_.emplace(id, static_cast<int>(indices_.size()));
    previous_ = id;
  }

  void write_quantization(const Node& node) {
    const auto& spec = node.quantization;
    if (!spec.enabled && !spec.wbits && !spec.abits) {
      return;
    }
    if (!std::holds_alternative<Conv>(node.op) && !std::holds_alternative<SqueezeExcite>(node.op)) {
      refuse(node, "only sections with weights can be quantized");
    }
    if (spec.enabled) {
      put("quantization", *spec.enabled ? 1 : 0);
    }
    if (spec.wbits) {
      put("wbits", *spec.wbits);
    }
    if (spec.abits) {
      put("abits", *spec.abits);
    }
  }

  void write_feature(NodeId tap, std::size_t level) {
    const auto* norm = std::get_if<L2Norm>(&graph_.nodes[tap].op);
    put("feature", norm != nullptr ? "l2_norm" : "linear");
    put("feature_idx", level);
    if (norm != nullptr && norm->initial_scale != 20) {
      put("feature_scale", norm->initial_scale);
    }
  }

  template <typename T>
  void put(const char* key, const T& value) {
    text_ += fmt::format("{}={}\n", key, value);
  }

  void put(const char* key, Size2 size) {
    if (size.height == size.width) {
      put(key, size.height);
    } else {
      put(key, fmt::format("{}x{}", size.height, size.width));
    }
  }

  void put_unless(const char* key, Size2 size, int usual) {
    if (size != Size2{usual, usual}) {
      put(key, size);
    }
  }

  void put_activation(Activation activation, double slope) {
    put("activation", to_string(activation));
    if (activation == Activation::kLeaky && slope != Conv{}.leaky_slope) {
      put("leaky_slope", slope);
    }
  }

  void begin(const char* type) { text_ += fmt::format("\n[{}]\n", type); }

  void begin_after_previous(const char* type) {
    if (graph_.nodes[id_].inputs[0] != previous_) {
      refuse(graph_.nodes[id_], "its first input must be the section above it");
    }
    begin(type);
  }

  std::string references(std::size_t from) const {
    std::vector<int> offsets;
    const auto& inputs = graph_.nodes[id_].inputs;
    for (std::size_t i = from; i < inputs.size(); ++i) {
      const auto index = indices_.find(inputs[i]);
      if (index == indices_.end()) {
        refuse(graph_.nodes[id_], "it reads a node that is not a section");
      }
      offsets.push_back(index->second - static_cast<int>(indices_.size()));
    }
    return fmt::format("{}", fmt::join(offsets, ","));
  }

  void write(const Conv& op) {
    const int in = shapes_[graph_.nodes[id_].inputs[0]].channels;
    const bool depthwise = op.groups > 1 && op.groups == in && op.out_channels == in;
    begin_after_previous(depthwise ? "depthwise" : "convolutional");
    put("batch_normalize", op.batch_norm ? 1 : 0);
    if (op.batch_norm && op.batch_norm->eps != BatchNorm{}.eps) {
      put("bn_eps", op.batch_norm->eps);
    }
    if (op.batch_norm && op.batch_norm->momentum != BatchNorm{}.momentum) {
      put("bn_momentum", op.batch_norm->momentum);
    }
    put("filters", op.out_channels);
    put("size", op.kernel);
    put("stride", op.stride);
    if (op.same_padding) {
      put("pad", "same");
    } else {
      put("pad", op.padding);
    }
    put_unless("dilation", op.dilation, 1);
    if (!depthwise && op.groups != 1) {
      put("groups", op.groups);
    }
    if (!op.bias && !op.batch_norm) {
      put("bias", 0);
    }
    put_activation(op.activation, op.leaky_slope);
  }

  void write(const Pool& op) {
    if (op.global && op.kind == PoolKind::kMax) {
      refuse(graph_.nodes[id_], "a global pool must be an average");
    }
    begin_after_previous(op.kind == PoolKind::kMax ? "maxpool" : "avgpool");
    if (!op.global) {
      put("size", op.kernel);
      put("stride", op.stride);
      put_unless("pad", op.padding, 0);
      if (op.ceil_mode) {
        put("ceil_mode", 1);
      }
    }
  }

  void write(const Add& op) {
    begin_after_previous("shortcut");
    put("from", references(1));
    put_activation(op.activation, op.leaky_slope);
  }

  void write(const Concat& /*op*/) {
    begin("route");
    put("layers", references(0));
  }

  void write(const Upsample& op) {
    begin_after_previous("upsample");
    put("stride", op.factor);
  }

  void write(const SqueezeExcite& op) {
    begin_after_previous("se");
    put("squeeze", op.squeeze_channels);
    put("inner", to_string(op.inner));
    put("gate", to_string(op.gate));
    put("activation", to_string(op.activation));
  }

  void write(const Input& /*op*/) { refuse(graph_.nodes[id_], "a second input"); }
  void write(const L2Norm& /*op*/) { refuse(graph_.nodes[id_], "an L2Norm in the chain"); }
  void write(const Output& /*op*/) { refuse(graph_.nodes[id_], "an output"); }

  const Graph& graph_;
  std::vector<Shape> shapes_;
  std::map<NodeId, std::size_t> levels_;  // section node -> feature level
  std::map<NodeId, int> indices_;         // section node -> section index
  NodeId backbone_end_ = 0;
  NodeId previous_ = 0;
  NodeId id_ = 0;
  std::string text_;
};

}  // namespace

std::string write_cfg(const Graph& graph) { return CfgWriter(graph).run(); }

}  // namespace ssdq
