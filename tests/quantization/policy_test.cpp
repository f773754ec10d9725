#include "ssdq/quantization/policy.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ssdq {
namespace {

Conv conv(Activation activation) {
  Conv result;
  result.out_channels = 4;
  result.activation = activation;
  return result;
}

class GraphBuilder {
 public:
  NodeId add(const std::string& name, Op op, std::vector<NodeId> inputs, bool quantized = false) {
    Node node;
    node.name = name;
    node.op = std::move(op);
    node.inputs = std::move(inputs);
    node.quantization.enabled = quantized;
    graph.nodes.push_back(std::move(node));
    return static_cast<NodeId>(graph.nodes.size()) - 1;
  }

  Graph graph;
};

TEST(SignedOutputs, FollowActivationsThroughOperatorsWithoutTheirOwn) {
  GraphBuilder b;
  const NodeId input = b.add("input", Input{}, {});
  const NodeId relu = b.add("relu", conv(Activation::kRelu), {input});
  const NodeId relu6 = b.add("relu6", conv(Activation::kRelu6), {input});
  const NodeId linear = b.add("linear", conv(Activation::kLinear), {relu});
  const NodeId swish = b.add("swish", conv(Activation::kHSwish), {relu});
  Add rectified;
  rectified.activation = Activation::kRelu;
  const std::vector<std::pair<NodeId, bool>> expected{
      {input, true},
      {relu, false},
      {relu6, false},
      {linear, true},
      {swish, true},
      {b.add("pool_relu", Pool{}, {relu}), false},
      {b.add("pool_linear", Pool{}, {linear}), true},
      {b.add("concat_unsigned", Concat{}, {relu, relu6}), false},
      {b.add("concat_mixed", Concat{}, {relu, linear}), true},
      {b.add("add_unsigned", Add{}, {relu, relu6}), false},
      {b.add("add_mixed", Add{}, {relu, linear}), true},
      {b.add("add_relu", rectified, {linear, linear}), false},
      {b.add("up", Upsample{}, {linear}), true},
      {b.add("se", SqueezeExcite{2}, {relu}), false},
      {b.add("norm", L2Norm{}, {relu}), false},
  };
  const std::vector<bool> is_signed = signed_outputs(b.graph);
  for (const auto& [node, sign] : expected) {
    EXPECT_EQ(is_signed[node], sign) << b.graph.nodes[node].name;
  }
}

TEST(PlanQuantization, TakesMarkedConvolutionsAndHeadsOnlyWithFinal) {
  GraphBuilder b;
  b.add("input", Input{}, {});
  b.add("backbone.0", conv(Activation::kRelu), {0});
  const NodeId marked = b.add("backbone.1", conv(Activation::kLinear), {1}, true);
  b.graph.nodes[marked].quantization.wbits = 4;
  b.add("backbone.2", Pool{}, {marked}, true);
  b.add("head.cls.0", conv(Activation::kLinear), {marked});
  QuantizationConfig config;
  config.type = "dorefa";
  config.wbits = 8;
  config.abits = 7;
  const QuantizationPlan backbone{{"backbone.1", {4, 7, false}}};
  EXPECT_EQ(plan_quantization(b.graph, config), backbone);
  config.final_layer = true;
  const QuantizationPlan all{{"backbone.1", {4, 7, false}}, {"head.cls.0", {8, 7, true}}};
  EXPECT_EQ(plan_quantization(b.graph, config), all);
  config.type = "No";
  EXPECT_TRUE(plan_quantization(b.graph, config).empty());
}

}  // namespace
}  // namespace ssdq
