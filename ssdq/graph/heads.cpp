#include "ssdq/graph/heads.h"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

NodeId push(Graph& graph, std::string name, const Op& op, NodeId input) {
  graph.nodes.push_back({std::move(name), op, {input}, {}, false, {"head", 0}});
  return static_cast<NodeId>(graph.nodes.size()) - 1;
}

Conv square_conv(int out_channels, int kernel) {
  Conv conv;
  conv.out_channels = out_channels;
  conv.kernel = {kernel, kernel};
  conv.padding = {kernel / 2, kernel / 2};
  return conv;
}

// Calls predict(feature, level, stem name, channels) -> node for each level and role and adds the
// outputs.
template <typename Predict>
void append_levels(Graph& graph, const HeadSpec& spec, const Predict& predict) {
  const auto levels = static_cast<int>(graph.features.size());
  for (int level = 0; level < levels; ++level) {
    for (const OutputRole role : {OutputRole::kClass, OutputRole::kBox}) {
      const bool is_class = role == OutputRole::kClass;
      const std::string stem = fmt::format("head.{}.{}", is_class ? "cls" : "box", level);
      const int channels = spec.boxes_per_location[level] * (is_class ? spec.num_classes : 4);
      const NodeId prediction = predict(graph.features[level], level, stem, channels);
      push(graph, stem + ".out", Output{role, level}, prediction);
    }
  }
}

void append_ssd(Graph& graph, const HeadSpec& spec) {
  append_levels(graph, spec, [&](NodeId feature, int, const std::string& stem, int channels) {
    return push(graph, stem, square_conv(channels, 3), feature);
  });
}

// A head of a depthwise and a 1x1 convolution; how they differ.
struct Separable {
  enum class Last { kSeparable, kPointwise, kDense };
  bool batch_norm = true;  // of the depthwise convolution, a bias without
  Activation activation = Activation::kRelu6;
  Last last = Last::kSeparable;  // the last level
};

Conv depthwise_conv(int channels, const Separable& style) {
  Conv conv = square_conv(channels, 3);
  conv.groups = channels;
  conv.activation = style.activation;
  if (style.batch_norm) {
    conv.bias = false;
    conv.batch_norm = BatchNorm{};
  }
  return conv;
}

void append_separable(Graph& graph, const HeadSpec& spec, const Separable& style) {
  const std::vector<Shape> shapes = infer_shapes(graph);
  const int last = static_cast<int>(graph.features.size()) - 1;
  append_levels(graph, spec, [&](NodeId feature, int level, const std::string& stem, int channels) {
    const auto kind = level == last ? style.last : Separable::Last::kSeparable;
    if (kind == Separable::Last::kDense) {
      return push(graph, stem, square_conv(channels, 3), feature);
    }
    NodeId input = feature;
    if (kind == Separable::Last::kSeparable) {
      input = push(graph, stem + ".dw", depthwise_conv(shapes[feature].channels, style), feature);
    }
    return push(graph, stem + ".pw", square_conv(channels, 1), input);
  });
}

void add_separable(HeadRegistry& heads, const char* name, const char* summary, Separable style) {
  heads.add({name, summary, [style](Graph& graph, const HeadSpec& spec) {
               append_separable(graph, spec, style);
             }});
}

}  // namespace

void HeadRegistry::add(HeadBuilder builder) {
  const std::string name = builder.name;
  if (!builders_.emplace(name, std::move(builder)).second) {
    fail("a head named '{}' is registered already", name);
  }
}

const HeadBuilder& HeadRegistry::find(const std::string& name) const {
  const auto it = builders_.find(name);
  if (it == builders_.end()) {
    fail_config("MODEL.BOX_HEAD.PREDICTOR: unknown head '{}'; known: {}", name,
                fmt::join(names(), ", "));
  }
  return it->second;
}

std::vector<std::string> HeadRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, builder] : builders_) {
    names.push_back(name);
  }
  return names;
}

HeadRegistry builtin_heads() {
  HeadRegistry heads;
  heads.add({"SSDBoxPredictor", "3x3 convolution on each level (SSD)", append_ssd});
  using Last = Separable::Last;
  add_separable(heads, "SSDLiteBoxPredictor",
                "depthwise 3x3 and 1x1 convolution on each level, 1x1 alone on the last (SSDLite)",
                {true, Activation::kRelu6, Last::kPointwise});
  add_separable(heads, "SSDLiteFullBoxPredictor",
                "depthwise 3x3 and 1x1 convolution on every level (torchvision's SSDLite)",
                {true, Activation::kRelu6, Last::kSeparable});
  add_separable(heads, "SSDLiteFoldedBoxPredictor",
                "depthwise 3x3 (a bias, no batch norm) and 1x1 convolution on every level "
                "(TensorFlow's SSDLite with batch norm folded)",
                {false, Activation::kRelu6, Last::kSeparable});
  add_separable(heads, "SSDLiteReluBoxPredictor",
                "depthwise 3x3 (a bias, ReLU) and 1x1 convolution on each level, 1x1 alone on the "
                "last (pytorch-ssd's mb1-ssd-lite)",
                {false, Activation::kRelu, Last::kPointwise});
  add_separable(heads, "SeparableBoxPredictor",
                "depthwise 3x3 (a bias, ReLU) and 1x1 convolution on each level, 3x3 on the last "
                "(Ultra-Light)",
                {false, Activation::kRelu, Last::kDense});
  add_separable(heads, "SeparableFullBoxPredictor",
                "depthwise 3x3 (a bias, ReLU) and 1x1 convolution on every level (what "
                "SSDLiteReluBoxPredictor and SeparableBoxPredictor leave without the last)",
                {false, Activation::kRelu, Last::kSeparable});
  return heads;
}

void append_heads(const HeadRegistry& heads, Graph& graph, const HeadSpec& spec) {
  const HeadBuilder& builder = heads.find(spec.predictor);
  if (graph.features.size() != spec.boxes_per_location.size()) {
    fail_config("the backbone has {} features, but MODEL.PRIORS.BOXES_PER_LOCATION has {} entries",
                graph.features.size(), spec.boxes_per_location.size());
  }
  if (spec.num_classes < 2) {
    fail_config("MODEL.NUM_CLASSES: expected at least 2 (background and one class), got {}",
                spec.num_classes);
  }
  builder.append(graph, spec);
}

}  // namespace ssdq
