#include <algorithm>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pugixml.hpp>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/describe.h"
#include "ssdq/graph/heads.h"
#include "ssdq/graph/svg.h"
#include "ssdq/graph/tree.h"

namespace ssdq {
namespace {

using testing::HasSubstr;

Graph detector(const std::string& cfg, const std::string& predictor) {
  Graph graph = read_cfg(SSDQ_SOURCE_DIR "/configs/backbones/" + cfg + ".cfg", {300, 300});
  append_heads(builtin_heads(), graph, {predictor, {4, 6, 6, 6, 4, 4}, 21});
  return graph;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(Describe, SaysWhatIsNotUsual) {
  Conv conv;
  conv.out_channels = 8;
  conv.kernel = {3, 1};
  conv.stride = {2, 1};
  conv.groups = 2;
  conv.dilation = {6, 6};
  conv.batch_norm = BatchNorm{};
  conv.activation = Activation::kRelu6;
  EXPECT_EQ(describe(conv), "conv 3x1 /2x1 g2 d6 bn relu6");
  EXPECT_EQ(describe(Pool{}), "max_pool 2x2 /2");
  EXPECT_EQ(to_string(Shape{3, {10, 20}}), "3x10x20");
}

TEST(GraphTree, NestsDottedNamesAndSumsGroups) {
  const Graph graph = detector("vgg_bn_ssd300", "SSDLiteBoxPredictor");
  const Cost total = cost(graph);
  const std::string text = graph_tree(graph, total);
  std::int64_t box = 0;
  for (const NodeCost& node : total.nodes) {
    if (node.name.rfind("head.box.", 0) == 0) box += node.params;
  }
  EXPECT_THAT(text, testing::ContainsRegex("\n  box +" + std::to_string(box) + "\n"));
  EXPECT_THAT(text, testing::ContainsRegex("\n      pw +conv 1x1 +16x38x38 +8208\n"));
  EXPECT_THAT(text, testing::ContainsRegex("l2_norm +l2_norm +level 0 +512x38x38 +512\n"));
  EXPECT_THAT(text, testing::ContainsRegex("total +" + std::to_string(total.params) + "\n"));
}

TEST(GraphTree, HasALineForEachNodeAndFitsIn100Columns) {
  for (const std::string cfg : {"vgg_ssd512", "mobilenet_v3_ssd320", "efficientnet_b3_ssd300",
                                "resnet50_ssd300", "mini_ssd"}) {
    const Graph graph = read_cfg(SSDQ_SOURCE_DIR "/configs/backbones/" + cfg + ".cfg", {512, 512});
    const auto lines = lines_of(graph_tree(graph, cost(graph)));
    EXPECT_GE(lines.size(), graph.nodes.size() + 2) << cfg;
    for (const std::string& line : lines) EXPECT_LE(line.size(), 100U) << line;
  }
}

struct Rectangle {
  int x, y, width, height;
};

bool overlap(const Rectangle& a, const Rectangle& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

TEST(GraphSvg, DrawsEachNodeOnceInsideThePictureWithoutOverlap) {
  for (const std::string cfg : {"vgg_bn_ssd300", "mobilenet_v2_ssd320", "resnet50_ssd300"}) {
    const Graph graph = detector(cfg, "SSDLiteBoxPredictor");
    pugi::xml_document document;
    ASSERT_TRUE(document.load_string(graph_svg(graph, cost(graph), cfg + " <&>").c_str()));
    const auto svg = document.child("svg");
    std::vector<Rectangle> boxes;
    std::set<std::string> names;
    for (const auto& group : svg.children("g")) {
      const auto rect = group.child("rect");
      boxes.push_back({rect.attribute("x").as_int(), rect.attribute("y").as_int(),
                       rect.attribute("width").as_int(), rect.attribute("height").as_int()});
      const std::string title = group.child_value("title");
      names.insert(title.substr(0, title.find('\n')));
      EXPECT_GE(boxes.back().x, 0);
      EXPECT_LE(boxes.back().x + boxes.back().width, svg.attribute("width").as_int());
      EXPECT_LE(boxes.back().y + boxes.back().height, svg.attribute("height").as_int());
    }
    std::size_t edges = 0;
    for (const Node& node : graph.nodes) {
      const bool is_output = std::holds_alternative<Output>(node.op);
      EXPECT_EQ(names.count(node.name), is_output ? 0U : 1U) << node.name;
      edges += is_output ? 0 : node.inputs.size();
    }
    EXPECT_EQ(names.size(), boxes.size());
    const auto paths = svg.children("path");
    EXPECT_EQ(static_cast<std::size_t>(std::distance(paths.begin(), paths.end())), edges);
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) EXPECT_FALSE(overlap(boxes[i], boxes[k]));
    }
  }
}

TEST(GraphSvg, MarksLevelsAndTellsCosts) {
  const Graph graph = detector("vgg_bn_ssd300", "SSDBoxPredictor");
  const Cost total = cost(graph, {{"backbone.1", {4, 8}}});
  const std::string svg = graph_svg(graph, total, "x");
  for (int level = 0; level < 6; ++level) {
    EXPECT_THAT(svg, HasSubstr(">level " + std::to_string(level) + "<"));
  }
  EXPECT_THAT(svg, HasSubstr("backbone.1\nconv 3x3 bn relu\noutput 64x300x300\n36992 parameters, "
                             "3317760000 MACs\nweights 4 bits, inputs 8 bits<"));
}

}  // namespace
}  // namespace ssdq
