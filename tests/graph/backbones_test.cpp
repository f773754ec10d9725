#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/cost.h"
#include "ssdq/graph/features.h"
#include "ssdq/graph/heads.h"

namespace ssdq {
namespace {

struct Model {
  std::string cfg;
  int image_size;
  std::vector<int> channels, maps;
  std::string predictor;
  std::vector<int> boxes;
  int priors;
  int classes;
  std::int64_t params;
};

void PrintTo(const Model& model, std::ostream* stream) { *stream << model.cfg; }

const std::string kSsd = "SSDBoxPredictor";
const std::string kLite = "SSDLiteBoxPredictor";
const std::string kSeparable = "SeparableBoxPredictor";
const std::vector<int> kSsdBoxes{4, 6, 6, 6, 4, 4};
const std::vector<int> kSix{6, 6, 6, 6, 6, 6};
const std::vector<int> kMaps300{38, 19, 10, 5, 3, 1};
const std::vector<int> kMaps19{19, 10, 5, 3, 2, 1};
const std::vector<int> kMaps320{20, 10, 5, 3, 2, 1};
const std::vector<int> kMaps40{40, 20, 10, 5};
const std::vector<int> kFaceChannels{64, 128, 256, 256};
const std::vector<int> kFaceBoxes{3, 2, 2, 3};
const std::vector<int> kVgg{512, 1024, 512, 256, 256, 256};

// Published counts: 35,641,826 is torchvision's ssd300_vgg16 (91 classes); 26,285,486 and
// 27,188,676 are the usual VOC SSD300 and SSD512 (checkpoints of 201 and 207 MB with
// momentum); 22.7 M, in units of 1024^2, is published for VGG-BN with 2 classes: 22.65. Others are
// sums of the rows of cost_table, checked below against published checkpoint sizes.
const std::vector<Model> kModels{
    {"vgg_bn_ssd300", 300, kVgg, kMaps300, kSsd, kSsdBoxes, 8732, 2, 23754100},
    {"vgg_bn_ssd300_quan", 300, kVgg, kMaps300, kSsd, kSsdBoxes, 8732, 2, 23754100},
    // 512 scales of the L2Norm fewer
    {"vgg_bn_ssd300_fpga", 300, kVgg, kMaps300, kSsd, kSsdBoxes, 8732, 2, 23754100 - 512},
    {"vgg_ssd300", 300, kVgg, kMaps300, kSsd, kSsdBoxes, 8732, 91, 35641826},
    {"vgg_ssd300", 300, kVgg, kMaps300, kSsd, kSsdBoxes, 8732, 21, 26285486},
    {"vgg_ssd512",
     512,
     {512, 1024, 512, 256, 256, 256, 256},
     {64, 32, 16, 8, 4, 2, 1},
     kSsd,
     {4, 6, 6, 6, 6, 4, 4},
     24564,
     21,
     27188676},
    {"mobilenet_v1_ssd300",
     300,
     {512, 1024, 512, 256, 256, 256},
     kMaps19,
     kSsd,
     kSix,
     3000,
     21,
     9468996},
    {"mobilenet_v1_ssd_lite300",
     300,
     {512, 1024, 512, 256, 256, 256},
     kMaps19,
     "SSDLiteReluBoxPredictor",
     kSix,
     3000,
     21,
     4312388},
    // with 91 classes torchvision's 3440060
    {"mobilenet_v3_ssdlite320_torchvision",
     320,
     {672, 480, 512, 256, 256, 128},
     kMaps320,
     "SSDLiteFullBoxPredictor",
     kSix,
     3234,
     91,
     3440060},
    {"mobilenet_v2_ssd_lite300",
     300,
     {576, 1280, 512, 256, 256, 64},
     kMaps19,
     kLite,
     kSix,
     3000,
     21,
     3382468},
    // 3,304,256 weights and 26,201 biases in the file that the configuration is for
    {"mobilenet_v2_ssdlite300_tf",
     300,
     {576, 1280, 512, 256, 256, 128},
     kMaps19,
     "SSDLiteFoldedBoxPredictor",
     {3, 6, 6, 6, 6, 6},
     1917,
     21,
     3304256 + 26201},
    {"mobilenet_v2_ssd320",
     320,
     {96, 1280, 512, 256, 256, 64},
     kMaps320,
     kLite,
     kSix,
     3234,
     21,
     3299908},
    {"mobilenet_v2_ssd320_quan",
     320,
     {96, 1280, 512, 256, 256, 64},
     kMaps320,
     kLite,
     kSix,
     3234,
     21,
     3299908},
    {"mobilenet_v3_ssd320",
     320,
     {112, 960, 512, 256, 256, 64},
     kMaps320,
     kLite,
     kSix,
     3234,
     21,
     3852148},
    {"efficientnet_b3_ssd300",
     300,
     {48, 136, 384, 256, 256, 256},
     kMaps300,
     kSsd,
     kSsdBoxes,
     8732,
     21,
     12656262},
    {"resnet18_ssd300",
     300,
     {256, 512, 512, 256, 256, 128},
     kMaps300,
     kSsd,
     kSsdBoxes,
     8732,
     81,
     14048310},
    {"resnet34_ssd300",
     300,
     {256, 512, 512, 256, 256, 256},
     kMaps300,
     kSsd,
     kSsdBoxes,
     8732,
     81,
     19975222},
    {"resnet50_ssd300",
     300,
     {1024, 512, 512, 256, 256, 256},
     kMaps300,
     kSsd,
     kSsdBoxes,
     8732,
     81,
     22894902},
    {"mini_ssd", 416, {128}, {52}, kSsd, {4}, 10816, 2, 403224},
    {"vgg_mini_ssd300",
     300,
     {96, 128, 128, 128, 128, 128},
     kMaps300,
     kSsd,
     kSsdBoxes,
     8732,
     4,
     1225192},
    {"vgg_mini_ssd300_quan",
     300,
     {96, 128, 128, 128, 128, 128},
     kMaps300,
     kSsd,
     kSsdBoxes,
     8732,
     4,
     1225192},
    // Sums of the published checkpoints without running statistics, at 320x320.
    {"ultralight_slim_320", 320, kFaceChannels, kMaps40, kSeparable, kFaceBoxes, 5875, 2, 260188},
    {"ultralight_rfb_320", 320, kFaceChannels, kMaps40, kSeparable, kFaceBoxes, 5875, 2, 276292},
};

Graph backbone(const std::string& name, Size2 image_size) {
  return read_cfg(std::string(SSDQ_SOURCE_DIR) + "/configs/backbones/" + name + ".cfg", image_size);
}

class Backbone : public testing::TestWithParam<Model> {};

TEST_P(Backbone, HasThePublishedMapsPriorsAndParameters) {
  const Model& m = GetParam();
  Graph graph = backbone(m.cfg, {m.image_size, m.image_size});
  std::vector<int> channels, maps;
  int priors = 0;
  for (const Shape& shape : feature_shapes(graph)) {
    priors += m.boxes[maps.size()] * shape.size.height * shape.size.width;
    EXPECT_EQ(shape.size.height, shape.size.width);
    channels.push_back(shape.channels);
    maps.push_back(shape.size.height);
  }
  EXPECT_EQ(channels, m.channels);
  EXPECT_EQ(maps, m.maps);
  EXPECT_EQ(priors, m.priors);
  append_heads(builtin_heads(), graph, {m.predictor, m.boxes, m.classes});
  EXPECT_EQ(cost(graph).params, m.params);
}

TEST_P(Backbone, SurvivesWritingAndReading) {
  const Model& m = GetParam();
  const Size2 size{m.image_size, m.image_size};
  const Graph graph = backbone(m.cfg, size);
  EXPECT_TRUE(parse_cfg(write_cfg(graph), "written", size) == graph);
}

TEST_P(Backbone, BuildsForAWideImage) {
  const Model& m = GetParam();
  const auto shapes = feature_shapes(backbone(m.cfg, {m.image_size, 2 * m.image_size}));
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    EXPECT_EQ(shapes[i].size.height, m.maps[i]);
    EXPECT_GT(shapes[i].size.width, m.maps[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Shipped, Backbone, testing::ValuesIn(kModels), [](const auto& case_info) {
  return case_info.param.cfg + "_" + std::to_string(case_info.param.classes);
});

TEST(Backbones, CostAsMuchAsPublished) {
  Graph ssd300 = backbone("vgg_ssd300", {300, 300});
  append_heads(builtin_heads(), ssd300, {kSsd, kSsdBoxes, 91});
  const Cost published = cost(ssd300);
  EXPECT_NEAR(static_cast<double>(published.macs) / 1e9, 34.86, 0.005);  // torchvision
  // The size of its checkpoint, 136 MB in units of 1024^2.
  EXPECT_NEAR(static_cast<double>(published.weight_bytes) / (1024 * 1024), 136, 0.5);
}

// MobileNetV2 at 224 pixels, classifier added: 3,504,872 parameters and 300 M multiply-adds
// (Sandler et al., CVPR 2018, table 4; torchvision: 0.30 G).
TEST(Backbones, MobileNetV2CostsAsMuchAsPublished) {
  const Graph graph = backbone("mobilenet_v2_ssd320", {224, 224});
  std::int64_t params = 1280 * 1000 + 1000, macs = 1280 * 1000;
  const Cost all = cost(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    params += graph.nodes[i].backbone ? all.nodes[i].params : 0;
    macs += graph.nodes[i].backbone ? all.nodes[i].macs : 0;
  }
  EXPECT_EQ(params, 3504872);
  EXPECT_NEAR(static_cast<double>(macs) / 1e6, 300, 1);
}

// A float MobileNetV2-SSDLite of 300 pixels is published with 13.53 MB of parameters and 0.654 G
// MACs, counted by hooks on modules; that is the sum without the depthwise convolutions of the
// heads, which take 1 % more.
TEST(Backbones, MobileNetV2SsdLiteCostsAsMuchAsPublished) {
  Graph graph = backbone("mobilenet_v2_ssd_lite300", {300, 300});
  append_heads(builtin_heads(), graph, {kLite, kSix, 21});
  const Cost all = cost(graph);
  std::int64_t macs = 0;
  for (const NodeCost& node : all.nodes) {
    const bool head_depthwise = node.kind == "depthwise" && node.name.rfind("head.", 0) == 0;
    macs += head_depthwise ? 0 : node.macs;
  }
  EXPECT_NEAR(static_cast<double>(macs) / 1e9, 0.654, 0.0006);
  EXPECT_NEAR(static_cast<double>(all.macs) / 1e9, 0.661, 0.0005);
  EXPECT_NEAR(static_cast<double>(all.weight_bytes) / 1e6, 13.53, 0.005);
}

// lufficc's checkpoints hold every parameter and its momentum: 8 bytes each, plus the statistics of
// batch norms (4 bytes) and a little structure.
TEST(Backbones, MatchPublishedCheckpointSizes) {
  const auto megabytes = [](const std::string& name, int size, const std::string& predictor,
                            const std::vector<int>& boxes) {
    Graph graph = backbone(name, {size, size});
    append_heads(builtin_heads(), graph, {predictor, boxes, 21});
    return static_cast<double>(cost(graph).params) * 8 / (1024 * 1024);
  };
  EXPECT_NEAR(megabytes("vgg_ssd300", 300, kSsd, kSsdBoxes), 201, 1);
  EXPECT_NEAR(megabytes("vgg_ssd512", 512, kSsd, {4, 6, 6, 6, 6, 4, 4}), 207, 1);
  EXPECT_NEAR(megabytes("mobilenet_v2_ssd320", 320, kLite, kSix), 25.5, 0.6);
  EXPECT_NEAR(megabytes("mobilenet_v3_ssd320", 320, kLite, kSix), 29.9, 0.7);
  EXPECT_NEAR(megabytes("efficientnet_b3_ssd300", 300, kSsd, kSsdBoxes), 97.1, 0.8);
}

TEST(Backbones, QuantizeAllConvolutionsButTheFirst) {
  for (const std::string name : {"vgg_bn_ssd300", "mobilenet_v2_ssd320", "vgg_mini_ssd300"}) {
    Graph quantized = backbone(name + "_quan", {300, 300});
    bool first = true;
    for (auto& node : quantized.nodes) {
      if (std::holds_alternative<Conv>(node.op)) {
        EXPECT_EQ(node.quantization.enabled.value_or(false), !first) << node.name;
        first = false;
      }
      node.quantization = {};
    }
    EXPECT_TRUE(quantized == backbone(name, {300, 300})) << name;
  }
}

TEST(Backbones, MobileNetV2TapsAreLinearExceptTheClassifiersLast) {
  const Graph graph = backbone("mobilenet_v2_ssd320", {320, 320});
  EXPECT_EQ(std::string(kind_name(graph.nodes[graph.features[0]].op)), "add");
  for (const std::size_t level : {2, 3, 4, 5}) {
    const auto& conv = std::get<Conv>(graph.nodes[graph.features[level]].op);
    EXPECT_EQ(conv.activation, Activation::kLinear);
  }
}

TEST(Backbones, SmallVggIsCheap) {
  Graph graph = backbone("vgg_mini_ssd300", {300, 300});
  append_heads(builtin_heads(), graph, {kSsd, kSsdBoxes, 4});
  EXPECT_LE(cost(graph).macs, 1000000000);
}

TEST(Backbones, MarkThePreTrainedPart) {
  const Graph graph = backbone("vgg_bn_ssd300", {300, 300});
  int covered = 0;
  for (const auto& node : graph.nodes) {
    covered += node.backbone && std::holds_alternative<Conv>(node.op) ? 1 : 0;
    EXPECT_FALSE(node.backbone && std::holds_alternative<L2Norm>(node.op));
  }
  EXPECT_EQ(covered, 15);  // 13 convolutions of VGG-16, fc6 and fc7
}

}  // namespace
}  // namespace ssdq
