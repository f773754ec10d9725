#include "ssdq/graph/heads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Graph two_levels() {
  return parse_cfg(
      "[convolutional]\nfilters=8\nsize=1\nfeature=linear\nfeature_idx=0\n"
      "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\nfeature=linear\nfeature_idx=1\n",
      "x.cfg", {10, 20});
}

std::vector<std::string> names_from(const Graph& graph, std::size_t first) {
  std::vector<std::string> names;
  for (std::size_t i = first; i < graph.nodes.size(); ++i) {
    names.push_back(graph.nodes[i].name);
  }
  return names;
}

TEST(Heads, SsdHasAConvolutionForEachLevelAndRole) {
  Graph graph = two_levels();
  append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {4, 6}, 21});
  EXPECT_THAT(names_from(graph, 3),
              testing::ElementsAre("head.cls.0", "head.cls.0.out", "head.box.0", "head.box.0.out",
                                   "head.cls.1", "head.cls.1.out", "head.box.1", "head.box.1.out"));
  const auto shapes = infer_shapes(graph);
  const NodeId out = graph.find("head.cls.1.out");
  EXPECT_EQ(shapes[out].channels, 6 * 21);
  EXPECT_EQ(shapes[out].size, (Size2{5, 10}));
  EXPECT_EQ(std::get<Output>(graph.nodes[out].op).level, 1);
  EXPECT_EQ(shapes[graph.find("head.box.0.out")].channels, 4 * 4);
}

TEST(Heads, SsdLiteIsSeparableExceptOnTheLastLevel) {
  Graph graph = two_levels();
  append_heads(builtin_heads(), graph, {"SSDLiteBoxPredictor", {6, 6}, 21});
  EXPECT_THAT(
      names_from(graph, 3),
      testing::ElementsAre("head.cls.0.dw", "head.cls.0.pw", "head.cls.0.out", "head.box.0.dw",
                           "head.box.0.pw", "head.box.0.out", "head.cls.1.pw", "head.cls.1.out",
                           "head.box.1.pw", "head.box.1.out"));
  const Node& depthwise = graph.nodes[graph.find("head.cls.0.dw")];
  EXPECT_EQ(std::get<Conv>(depthwise.op).groups, 8);
  EXPECT_EQ(infer_shapes(graph)[graph.find("head.cls.0.out")].size, (Size2{10, 20}));
}

TEST(Heads, FoldedSsdLiteIsSeparableOnEveryLevelAndHasNoBatchNorm) {
  Graph graph = two_levels();
  append_heads(builtin_heads(), graph, {"SSDLiteFoldedBoxPredictor", {3, 6}, 21});
  EXPECT_THAT(
      names_from(graph, 3),
      testing::ElementsAre("head.cls.0.dw", "head.cls.0.pw", "head.cls.0.out", "head.box.0.dw",
                           "head.box.0.pw", "head.box.0.out", "head.cls.1.dw", "head.cls.1.pw",
                           "head.cls.1.out", "head.box.1.dw", "head.box.1.pw", "head.box.1.out"));
  const auto& depthwise = std::get<Conv>(graph.nodes[graph.find("head.box.1.dw")].op);
  EXPECT_TRUE(!depthwise.batch_norm && depthwise.bias);
  EXPECT_EQ(depthwise.activation, Activation::kRelu6);
  EXPECT_EQ(infer_shapes(graph)[graph.find("head.cls.0.out")].channels, 3 * 21);
}

// With biases instead of batch norms, and a full convolution at the end.
TEST(Heads, SeparableHasABiasAndADenseLastLevel) {
  Graph graph = two_levels();
  append_heads(builtin_heads(), graph, {"SeparableBoxPredictor", {3, 2}, 2});
  EXPECT_THAT(names_from(graph, 3),
              testing::ElementsAre("head.cls.0.dw", "head.cls.0.pw", "head.cls.0.out",
                                   "head.box.0.dw", "head.box.0.pw", "head.box.0.out", "head.cls.1",
                                   "head.cls.1.out", "head.box.1", "head.box.1.out"));
  const auto& depthwise = std::get<Conv>(graph.nodes[graph.find("head.cls.0.dw")].op);
  EXPECT_EQ(depthwise.groups, 8);
  EXPECT_TRUE(depthwise.bias);
  EXPECT_FALSE(depthwise.batch_norm.has_value());
  EXPECT_EQ(depthwise.activation, Activation::kRelu);
  const auto& last = std::get<Conv>(graph.nodes[graph.find("head.box.1")].op);
  EXPECT_EQ(last.kernel, (Size2{3, 3}));
  EXPECT_EQ(last.groups, 1);
  const auto shapes = infer_shapes(graph);
  EXPECT_EQ(shapes[graph.find("head.cls.0.out")].channels, 3 * 2);
  EXPECT_EQ(shapes[graph.find("head.box.1.out")].size, (Size2{5, 10}));
}

TEST(Heads, WritingTheBackboneLeavesThemOut) {
  Graph graph = two_levels();
  append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {4, 6}, 21});
  EXPECT_TRUE(parse_cfg(write_cfg(graph), "y.cfg", {10, 20}) == two_levels());
}

TEST(Heads, RefuseUnknownPredictorsAndWrongLists) {
  Graph graph = two_levels();
  EXPECT_THAT(
      [&] {
        append_heads(builtin_heads(), graph, {"SSD", {4, 6}, 21});
      },
      testing::ThrowsMessage<ConfigError>(
          "MODEL.BOX_HEAD.PREDICTOR: unknown head 'SSD'; known: SSDBoxPredictor, "
          "SSDLiteBoxPredictor, SSDLiteFoldedBoxPredictor, SSDLiteFullBoxPredictor, "
          "SSDLiteReluBoxPredictor, "
          "SeparableBoxPredictor, SeparableFullBoxPredictor"));
  EXPECT_THAT(
      [&] {
        append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {4}, 21});
      },
      testing::ThrowsMessage<ConfigError>("the backbone has 2 features, but "
                                          "MODEL.PRIORS.BOXES_PER_LOCATION has 1 entries"));
  EXPECT_THAT(
      [&] {
        append_heads(builtin_heads(), graph, {"SSDBoxPredictor", {4, 6}, 1});
      },
      testing::ThrowsMessage<ConfigError>(
          "MODEL.NUM_CLASSES: expected at least 2 (background and one class), got 1"));
}

TEST(HeadRegistry, TakesAProjectsHeadOnce) {
  HeadRegistry registry;
  registry.add({"mine", "", [](Graph& graph, const HeadSpec&) { graph.features.clear(); }});
  Graph graph = two_levels();
  registry.find("mine").append(graph, {});
  EXPECT_TRUE(graph.features.empty());
  EXPECT_THROW(registry.add({"mine", "", nullptr}), Error);
}

}  // namespace
}  // namespace ssdq
