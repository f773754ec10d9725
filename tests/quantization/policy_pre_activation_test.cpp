#include "ssdq/quantization/policy_pre_activation.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"
#include "tests/quantization/policy_graph.h"

namespace ssdq {
namespace {

using testing::conv;
using testing::PolicyGraph;

// "name: withheld pending apply", such as "pool1: . relu 0", for every node that takes part.
std::vector<std::string> lines(const Graph& graph, const PreActivationPlan& plan) {
  std::vector<std::string> result;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    std::string edges;
    bool applies = false;
    for (const bool apply : plan.apply[i]) {
      edges += apply ? "1" : "0";
      applies = applies || apply;
    }
    if (!plan.withheld[i] && plan.pending[i] == Activation::kLinear && !applies) continue;
    result.push_back(graph.nodes[i].name + ": " + (plan.withheld[i] ? "withheld " : "") +
                     to_string(plan.pending[i]) + " " + edges);
  }
  return result;
}

using Lines = std::vector<std::string>;

// conv1 - conv2 - pool - conv3, and a head on conv2, as in VGG.
struct VggLike : PolicyGraph {
  NodeId input = add("input", Input{}, {});
  NodeId conv1 = add("conv1", conv(Activation::kRelu), {input});
  NodeId conv2 = add("conv2", conv(Activation::kRelu), {conv1});
  NodeId pool = add("pool", Pool{}, {conv2});
  NodeId conv3 = add("conv3", conv(Activation::kRelu6), {pool});
  NodeId head = add("head", conv(Activation::kLinear), {conv2});
  NodeId out = add("out", Output{}, {head});
};

TEST(PreActivations, FeatureOfAFloatHeadAndABinarizedConvolutionBehindAPool) {
  const VggLike b;
  EXPECT_EQ(lines(b.graph, plan_pre_activations(b.graph, {"conv3"})),
            (Lines{"conv2: withheld relu 0", "pool: relu 0", "head: linear 1"}));
}

TEST(PreActivations, NothingIsWithheldWithoutBinarizedConvolutions) {
  const VggLike b;
  EXPECT_TRUE(lines(b.graph, plan_pre_activations(b.graph, {})).empty());
  EXPECT_TRUE(lines(b.graph, plan_pre_activations(b.graph, {"conv1"})).empty());
}

TEST(PreActivations, ChainOfBinarizedConvolutionsWithholdsEachActivation) {
  const VggLike b;
  EXPECT_EQ(lines(b.graph, plan_pre_activations(b.graph, {"conv2", "conv3", "head"})),
            (Lines{"conv1: withheld relu 0", "conv2: withheld relu 0", "pool: relu 0"}));
}

TEST(PreActivations, PoolThatLeadsToNoBinarizedConvolutionGetsTheActivation) {
  VggLike b;
  b.add("binary", conv(Activation::kRelu), {b.conv2});
  EXPECT_EQ(lines(b.graph, plan_pre_activations(b.graph, {"binary"})),
            (Lines{"conv2: withheld relu 0", "pool: linear 1", "head: linear 1"}));
}

TEST(PreActivations, TravelThroughMaxPoolsUpsamplingAndRoutes) {
  PolicyGraph b;
  b.add("input", Input{}, {});
  Add sum;
  sum.activation = Activation::kRelu6;
  NodeId last = b.add("sum", sum, {0, 0});
  last = b.add("route", Concat{}, {last});
  Pool global;
  global.global = true;
  last = b.add("global", global, {last});
  last = b.add("up", Upsample{}, {last});
  b.add("binary", conv(Activation::kLinear), {last});
  b.add("float", conv(Activation::kLinear), {last});
  EXPECT_EQ(lines(b.graph, plan_pre_activations(b.graph, {"binary"})),
            (Lines{"sum: withheld relu6 00", "route: relu6 0", "global: relu6 0", "up: relu6 0",
                   "float: linear 1"}));
}

TEST(PreActivations, OtherOperatorsAndActivationsEndTheWay) {
  for (const Activation activation :
       {Activation::kLinear, Activation::kLeaky, Activation::kHSwish, Activation::kSigmoid}) {
    PolicyGraph b;
    b.add("input", Input{}, {});
    b.add("conv", conv(activation), {0});
    b.add("binary", conv(Activation::kRelu), {1});
    EXPECT_TRUE(lines(b.graph, plan_pre_activations(b.graph, {"binary"})).empty());
  }
  Pool average;
  average.kind = PoolKind::kAverage;
  for (const Op& op : {Op(average), Op(Add{}), Op(SqueezeExcite{2}), Op(L2Norm{})}) {
    PolicyGraph b;
    b.add("input", Input{}, {});
    b.add("conv", conv(Activation::kRelu), {0});
    b.add("between", op, {1});
    b.add("binary", conv(Activation::kRelu), {2});
    EXPECT_TRUE(lines(b.graph, plan_pre_activations(b.graph, {"binary"})).empty());
  }
}

TEST(PreActivations, ReadersOfSeveralInputsGetTheActivationOnTheirEdges) {
  PolicyGraph b;
  b.add("input", Input{}, {});
  const NodeId a = b.add("a", conv(Activation::kRelu), {0});
  const NodeId c = b.add("c", conv(Activation::kRelu), {0});
  b.add("binary", conv(Activation::kLinear), {a});
  const NodeId both = b.add("concat", Concat{}, {c, a});
  Pool average;
  average.kind = PoolKind::kAverage;
  b.add("add", Add{}, {a, a, c});
  b.add("average", average, {a});
  b.add("se", SqueezeExcite{2}, {a});
  b.add("norm", L2Norm{}, {a});
  b.add("out", Output{}, {a});
  b.add("binary2", conv(Activation::kLinear), {both});
  EXPECT_EQ(lines(b.graph, plan_pre_activations(b.graph, {"binary", "binary2"})),
            (Lines{"a: withheld relu 0", "concat: linear 01", "add: linear 110",
                   "average: linear 1", "se: linear 1", "norm: linear 1", "out: linear 1"}));
}

TEST(PreActivations, RefuseNodesThatAreNoConvolutions) {
  const VggLike b;
  try {
    plan_pre_activations(b.graph, {"pool"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "node 'pool' is no convolution but max_pool; only convolutions take binary inputs");
  }
}

}  // namespace
}  // namespace ssdq
