#include "ssdq/quantization/policy.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/quantization/policy_match.h"
#include "ssdq/utils/error.h"
#include "tests/quantization/policy_graph.h"

namespace ssdq {
namespace {

using testing::conv;
using testing::PolicyGraph;

// Two convolutions (the first not marked), a depthwise one and an add; heads of one level.
Graph small_graph(std::optional<bool> first, std::optional<bool> others) {
  PolicyGraph b;
  b.add("input", Input{}, {});
  const NodeId stem = b.add("backbone.0", conv(Activation::kRelu), {0}, first);
  Conv depthwise = conv(Activation::kRelu6);
  depthwise.groups = depthwise.out_channels;
  const NodeId dw = b.add("backbone.1", depthwise, {stem}, others);
  const NodeId linear = b.add("backbone.2", conv(Activation::kLinear), {dw}, others);
  const NodeId sum = b.add("backbone.3", Add{}, {stem, linear});
  const NodeId pooled = b.add("backbone.4", Pool{}, {sum});
  for (const char* name : {"head.cls.0", "head.box.0"}) {
    const NodeId head = b.add(name, conv(Activation::kLinear), {pooled});
    b.add(std::string(name) + ".out", Output{}, {head});
  }
  return b.graph;
}

QuantizationConfig dorefa(int wbits = 8, int abits = 7) {
  QuantizationConfig config;
  config.type = "DoReFa";
  config.wbits = wbits;
  config.abits = abits;
  return config;
}

QuantizationRule rule(const std::string& match) {
  QuantizationRule result;
  result.match = match;
  return result;
}

QuantizationRule rule(const std::string& match, bool skip) {
  QuantizationRule result = rule(match);
  result.skip = skip;
  return result;
}

std::vector<std::string> quantized(const Graph& graph, const QuantizationConfig& config) {
  std::vector<std::string> names;
  for (const NodeDecision& decision : decide_quantization(graph, config)) {
    if (decision.quantized) names.push_back(decision.node);
  }
  return names;
}

std::string reason(const Graph& graph, const QuantizationConfig& config, const std::string& node) {
  for (const NodeDecision& decision : decide_quantization(graph, config)) {
    if (decision.node == node) return decision.reason;
  }
  return "no decision";
}

std::string widths(const Graph& graph, const QuantizationConfig& config, const std::string& node) {
  const NodeQuantization how = plan_quantization(graph, config).at(node);
  return std::to_string(how.wbits) + "/" + std::to_string(how.abits);
}

std::string error_of(const Graph& graph, const QuantizationConfig& config) {
  try {
    plan_quantization(graph, config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no ConfigError";
}

TEST(SignedOutputs, FollowActivationsThroughOperatorsWithoutTheirOwn) {
  PolicyGraph b;
  const NodeId input = b.add("input", Input{}, {});
  const NodeId relu = b.add("relu", conv(Activation::kRelu), {input});
  const NodeId linear = b.add("linear", conv(Activation::kLinear), {relu});
  Add rectified;
  rectified.activation = Activation::kRelu;
  Add bent;
  bent.activation = Activation::kLeaky;
  Pool average;
  average.kind = PoolKind::kAverage;
  average.padding = {1, 1};
  Pool padded;
  padded.padding = {1, 1};
  SqueezeExcite se{2};
  SqueezeExcite signed_gate{2};
  signed_gate.gate = Activation::kHSwish;
  SqueezeExcite rectified_se = signed_gate;
  rectified_se.activation = Activation::kRelu;
  const std::vector<std::pair<NodeId, bool>> expected{
      {input, true},
      {relu, false},
      {b.add("relu6", conv(Activation::kRelu6), {input}), false},
      {b.add("h_sigmoid", conv(Activation::kHSigmoid), {input}), false},
      {b.add("sigmoid", conv(Activation::kSigmoid), {input}), false},
      {linear, true},
      {b.add("leaky", conv(Activation::kLeaky), {relu}), true},
      {b.add("h_swish", conv(Activation::kHSwish), {relu}), true},
      {b.add("swish", conv(Activation::kSwish), {relu}), true},
      {b.add("pool_relu", padded, {relu}), false},
      {b.add("pool_linear", padded, {linear}), true},
      {b.add("average_relu", average, {relu}), false},
      {b.add("average_linear", average, {linear}), true},
      {b.add("concat_unsigned", Concat{}, {relu, relu}), false},
      {b.add("concat_mixed", Concat{}, {relu, linear}), true},
      {b.add("add_unsigned", Add{}, {relu, relu}), false},
      {b.add("add_mixed", Add{}, {relu, linear}), true},
      {b.add("add_relu", rectified, {linear, linear}), false},
      {b.add("add_leaky_unsigned", bent, {relu, relu}), false},
      {b.add("add_leaky_signed", bent, {relu, linear}), true},
      {b.add("up_relu", Upsample{}, {relu}), false},
      {b.add("up_linear", Upsample{}, {linear}), true},
      {b.add("se_relu", se, {relu}), false},
      {b.add("se_linear", se, {linear}), true},
      {b.add("se_signed_gate", signed_gate, {relu}), true},
      {b.add("se_rectified", rectified_se, {linear}), false},
      {b.add("norm_relu", L2Norm{}, {relu}), false},
      {b.add("norm_linear", L2Norm{}, {linear}), true},
  };
  const std::vector<bool> is_signed = signed_outputs(b.graph);
  for (const auto& [node, sign] : expected) {
    EXPECT_EQ(is_signed[node], sign) << b.graph.nodes[node].name;
  }
}

TEST(SignedOutputs, BottlenecksOfMobileNetV2AreSignedAndTheInsideIsNot) {
  const Graph graph = read_cfg(
      std::string(SSDQ_SOURCE_DIR) + "/configs/backbones/mobilenet_v2_ssd320_quan.cfg", {320, 320});
  const std::vector<bool> is_signed = signed_outputs(graph);
  int depthwise = 0;
  int bottlenecks = 0;
  for (size_t i = 1; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const bool input_signed = is_signed[node.inputs.front()];
    if (std::string(kind_name(node.op)) == "depthwise") {
      EXPECT_FALSE(input_signed) << node.name;
      ++depthwise;
    }
    const auto* block = std::get_if<Conv>(&node.op);
    if (block != nullptr && block->activation == Activation::kLinear) {
      EXPECT_TRUE(is_signed[i]) << node.name;
      EXPECT_FALSE(input_signed) << node.name;
      ++bottlenecks;
    }
    if (std::holds_alternative<Add>(node.op)) {
      EXPECT_TRUE(is_signed[i]) << node.name;
    }
  }
  EXPECT_GE(depthwise, 17);
  EXPECT_GE(bottlenecks, 17);
}

TEST(DecideQuantization, LayersChoosesMarkedOrAllConvolutions) {
  const std::vector<std::string> all{"backbone.0", "backbone.1", "backbone.2"};
  const std::vector<std::string> others{"backbone.1", "backbone.2"};
  const Graph marked = small_graph({}, true);
  const Graph plain = small_graph({}, {});
  const Graph refused = small_graph(false, {});
  QuantizationConfig config = dorefa();
  EXPECT_EQ(quantized(marked, config), others);
  EXPECT_EQ(reason(marked, config, "backbone.0"), "the cfg does not mark it");
  EXPECT_EQ(reason(marked, config, "backbone.1"), "the cfg marks it");
  EXPECT_EQ(quantized(plain, config), all);
  EXPECT_EQ(reason(plain, config, "backbone.0"), "all backbone convolutions are quantized");
  EXPECT_EQ(quantized(refused, config), others);
  EXPECT_EQ(reason(refused, config, "backbone.0"), "the cfg says quantization=0");
  config.layers = "all";
  EXPECT_EQ(quantized(marked, config), all);
  EXPECT_EQ(quantized(refused, config), others);
  config.layers = "marked";
  EXPECT_TRUE(quantized(plain, config).empty());
}

TEST(DecideQuantization, SaysWhyEachOtherNodeStaysInFloat) {
  Graph graph = small_graph({}, {});
  graph.nodes.push_back({"se", SqueezeExcite{2}, {1}, {}, false, {}});
  graph.nodes.push_back({"norm", L2Norm{}, {1}, {}, false, {}});
  graph.nodes.push_back({"up", Upsample{}, {1}, {}, false, {}});
  graph.nodes.push_back({"route", Concat{}, {1}, {}, false, {}});
  Pool average;
  average.kind = PoolKind::kAverage;
  graph.nodes.push_back({"average", average, {1}, {}, false, {}});
  const QuantizationConfig config = dorefa();
  EXPECT_EQ(reason(graph, config, "backbone.3"), "QUANTIZATION.MERGE_INPUTS is float");
  EXPECT_EQ(reason(graph, config, "backbone.4"), "pooling keeps the codes of its input");
  EXPECT_EQ(reason(graph, config, "head.cls.0"), "prediction head; QUANTIZATION.FINAL is false");
  EXPECT_EQ(reason(graph, config, "se"), "squeeze-excite is computed in float");
  EXPECT_EQ(reason(graph, config, "norm"), "L2Norm is computed in float");
  EXPECT_EQ(reason(graph, config, "up"), "upsampling keeps the codes of its input");
  EXPECT_EQ(reason(graph, config, "route"), "a route to one layer is its input");
  EXPECT_EQ(reason(graph, config, "average"), "average pooling is computed in float");
  EXPECT_EQ(reason(graph, config, "input"), "no decision");
  EXPECT_EQ(reason(graph, config, "head.cls.0.out"), "no decision");
}

TEST(DecideQuantization, NothingIsQuantizedWithoutAType) {
  for (const char* type : {"none", "No", ""}) {
    QuantizationConfig config = dorefa();
    config.type = type;
    config.policy = {rule("nothing.*", false)};
    const Graph graph = small_graph(true, true);
    EXPECT_TRUE(plan_quantization(graph, config).empty());
    EXPECT_EQ(reason(graph, config, "backbone.0"), "QUANTIZATION.TYPE is none");
  }
}

TEST(PlanQuantization, HoldsWidthsOfTheSectionTheMethodAndTheSignOfTheInput) {
  Graph graph = small_graph({}, true);
  graph.nodes[graph.find("backbone.1")].quantization.wbits = 4;
  QuantizationConfig config = dorefa();
  config.options = {{"RESCALE_OUTPUT", "true"}};
  NodeQuantization how{4, 7, false, "dorefa", config.options, MergeInputs::kNone, {}};
  QuantizationPlan expected{{"backbone.1", how}};
  how.wbits = 8;
  expected["backbone.2"] = how;
  EXPECT_EQ(plan_quantization(graph, config), expected);
}

TEST(PlanQuantization, FinalNamesTheHeads) {
  const Graph graph = small_graph({}, true);
  const auto heads = [&](const std::string& final_layer) {
    QuantizationConfig config = dorefa();
    config.final_layer = final_layer;
    config.final_bits = 12;
    std::vector<std::string> names = quantized(graph, config);
    names.erase(names.begin(), names.begin() + 2);
    for (const std::string& name : names) EXPECT_EQ(widths(graph, config, name), "12/12");
    EXPECT_EQ(widths(graph, config, "backbone.1"), "8/7");
    return names;
  };
  EXPECT_EQ(heads("true"), (std::vector<std::string>{"head.cls.0", "head.box.0"}));
  EXPECT_EQ(heads("cls"), (std::vector<std::string>{"head.cls.0"}));
  EXPECT_EQ(heads("box"), (std::vector<std::string>{"head.box.0"}));
  EXPECT_TRUE(heads("false").empty());
  QuantizationConfig config = dorefa();
  config.final_layer = "true";
  config.final_bits = 32;
  EXPECT_EQ(reason(graph, config, "head.cls.0"), "prediction head; QUANTIZATION.FINAL_BITS is 32");
}

TEST(PlanQuantization, FirstBitsAreThoseOfTheFirstConvolution) {
  QuantizationConfig config = dorefa();
  config.first_bits = 8;
  for (const auto& graph : {small_graph({}, true), small_graph({}, {}), small_graph(true, true)}) {
    EXPECT_EQ(widths(graph, config, "backbone.0"), "8/8");
    EXPECT_EQ(widths(graph, config, "backbone.1"), "8/7");
  }
  EXPECT_EQ(reason(small_graph({}, true), config, "backbone.0"),
            "first convolution; QUANTIZATION.FIRST_BITS is 8");
  EXPECT_EQ(reason(small_graph(false, true), config, "backbone.0"), "the cfg says quantization=0");
  config.first_bits = 32;
  const Graph graph = small_graph(true, true);
  EXPECT_EQ(quantized(graph, config), (std::vector<std::string>{"backbone.1", "backbone.2"}));
  EXPECT_EQ(reason(graph, config, "backbone.0"),
            "first convolution; QUANTIZATION.FIRST_BITS is 32");
}

TEST(PlanQuantization, MergeInputsAreSharedOrSeparateWithTheirSigns) {
  const Graph graph = small_graph({}, true);
  QuantizationConfig config = dorefa();
  config.merge_inputs = "shared";
  NodeQuantization how{32, 7, true, "dorefa", {}, MergeInputs::kShared, {false, true}};
  EXPECT_EQ(plan_quantization(graph, config).at("backbone.3"), how);
  EXPECT_EQ(reason(graph, config, "backbone.3"), "QUANTIZATION.MERGE_INPUTS is shared");
  config.merge_inputs = "separate";
  how.merge = MergeInputs::kSeparate;
  EXPECT_EQ(plan_quantization(graph, config).at("backbone.3"), how);
  config.policy = {rule("add")};
  config.policy[0].abits = 32;
  EXPECT_EQ(reason(graph, config, "backbone.3"), "its inputs have 32 bits");
  config.policy = {rule("add", true)};
  EXPECT_EQ(reason(graph, config, "backbone.3"), "POLICY[0] (add) skips it");
}

TEST(PlanQuantization, LaterRulesWinKeyByKey) {
  Graph graph = small_graph({}, true);
  graph.nodes[graph.find("backbone.1")].quantization.wbits = 3;
  QuantizationConfig config = dorefa();
  config.final_layer = "true";
  config.final_bits = 12;
  config.policy = {rule("*"), rule("depthwise"), rule("head.?ls.*")};
  config.policy[0].wbits = 6;
  config.policy[0].abits = 5;
  config.policy[1].wbits = 8;
  config.policy[2].abits = 9;
  EXPECT_EQ(widths(graph, config, "backbone.1"), "8/5");
  EXPECT_EQ(widths(graph, config, "backbone.2"), "6/5");
  EXPECT_EQ(widths(graph, config, "head.cls.0"), "6/9");
  EXPECT_EQ(widths(graph, config, "head.box.0"), "6/5");
}

TEST(PlanQuantization, RulesSkipNodesAndTakeThemBack) {
  const Graph graph = small_graph({}, true);
  QuantizationConfig config = dorefa();
  config.first_bits = 32;
  config.policy = {rule("backbone.*", true), rule("conv", false), rule("head.box.*", true)};
  EXPECT_EQ(quantized(graph, config),
            (std::vector<std::string>{"backbone.0", "backbone.2", "head.cls.0"}));
  EXPECT_EQ(widths(graph, config, "backbone.0"), "8/7");
  EXPECT_EQ(reason(graph, config, "backbone.1"), "POLICY[0] (backbone.*) skips it");
  EXPECT_EQ(reason(graph, config, "head.cls.0"), "POLICY[1] (conv) quantizes it");
  EXPECT_EQ(reason(graph, config, "head.box.0"), "POLICY[2] (head.box.*) skips it");
}

TEST(PlanQuantization, AnotherTypeOfARuleStartsWithoutOptions) {
  const Graph graph = small_graph({}, true);
  QuantizationConfig config = dorefa();
  config.options = {{"SCALE", "1"}, {"CLIP", "2"}};
  config.policy = {rule("depthwise"), rule("backbone.2")};
  config.policy[0].type = "iao";
  config.policy[0].options = Options{{"OBSERVER", "kl"}};
  config.policy[1].options = Options{{"CLIP", "3"}};
  const QuantizationPlan plan = plan_quantization(graph, config);
  EXPECT_EQ(plan.at("backbone.1").type, "iao");
  EXPECT_EQ(plan.at("backbone.1").options, (Options{{"OBSERVER", "kl"}}));
  EXPECT_EQ(plan.at("backbone.2").type, "dorefa");
  EXPECT_EQ(plan.at("backbone.2").options, (Options{{"SCALE", "1"}, {"CLIP", "3"}}));
}

TEST(PlanQuantization, RuleThatMatchesNothingNamesTheNearest) {
  const Graph graph = small_graph({}, true);
  QuantizationConfig config = dorefa();
  config.policy = {rule("conv"), rule("head.clas.0", true)};
  EXPECT_EQ(error_of(graph, config),
            "QUANTIZATION.POLICY[1]: MATCH 'head.clas.0' matches no node; the nearest are "
            "head.cls.0, head.box.0, backbone.0; kinds of this network: add, conv, depthwise");
  config.policy = {rule("max_pool", true)};
  EXPECT_EQ(error_of(graph, config),
            "QUANTIZATION.POLICY[0]: MATCH 'max_pool' matches only nodes without quantizers, such "
            "as backbone.4 (max_pool); expected a convolution, or an add or concat of several "
            "inputs");
}

TEST(PlanQuantization, FullWidthsStayInFloat) {
  const Graph graph = small_graph({}, true);
  QuantizationConfig config = dorefa(32, 32);
  EXPECT_TRUE(plan_quantization(graph, config).empty());
  EXPECT_EQ(reason(graph, config, "backbone.1"), "both widths are 32 bits");
  config.wbits = 2;
  EXPECT_EQ(widths(graph, config, "backbone.1"), "2/32");
}

}  // namespace
}  // namespace ssdq
