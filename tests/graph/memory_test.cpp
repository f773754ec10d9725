#include "ssdq/graph/memory.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"

namespace ssdq {
namespace {

using testing::ElementsAre;

// Outputs of 8x10x10, 8x10x10, 8x10x10 (sum), route (no copy), 8x5x5, 4x5x5.
const char* const kBranches =
    "[convolutional]\nfilters=8\nsize=3\npad=1\n"
    "[convolutional]\nfilters=8\nsize=3\npad=1\n"
    "[shortcut]\nfrom=-2\n"
    "[route]\nlayers=0\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=4\nsize=1\nfeature=linear\nfeature_idx=0\n";

// By simulation: what exists after each step, freeing what nobody reads any more.
std::vector<std::int64_t> simulated(const Graph& graph, const std::vector<std::int64_t>& bytes) {
  const auto owners = tensor_owners(graph);
  std::vector<std::int64_t> live;
  std::set<NodeId> held;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    held.insert(owners[i]);
    std::int64_t sum = 0;
    for (const NodeId id : held) sum += bytes[id];
    live.push_back(sum);
    std::set<NodeId> needed;
    for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
      const bool result = std::holds_alternative<Output>(graph.nodes[k].op);
      if (result) needed.insert(owners[k]);
      for (const NodeId input : graph.nodes[k].inputs) {
        if (k > i) needed.insert(owners[input]);
      }
    }
    std::set<NodeId> kept;
    for (const NodeId id : held) {
      if (needed.count(id) != 0) kept.insert(id);
    }
    held = kept;
  }
  return live;
}

TEST(Memory, HoldsWhatLaterNodesRead) {
  const Graph graph = parse_cfg(kBranches, "x.cfg", {10, 10});
  const Cost total = cost(graph);
  std::vector<std::int64_t> live;
  for (const NodeCost& node : total.nodes) live.push_back(node.live_bytes / 4);
  const std::int64_t map = 800, image = 300, pooled = 200, feature = 100;
  // The sum is read by nobody: it lives while it is made. The first map lives until the pool,
  // through the route that is no copy of it.
  EXPECT_THAT(
      live, ElementsAre(image, image + map, 2 * map, 3 * map, map, map + pooled, pooled + feature));
  EXPECT_EQ(total.peak_bytes, 3 * map * 4);
  EXPECT_EQ(graph.nodes[total.peak_node].name, "backbone.2");
  EXPECT_EQ(total.nodes[4].output_bytes, 0);
}

TEST(Memory, AgreesWithASimulationOnShippedDetectors) {
  for (const std::string name :
       {"vgg_bn_ssd300", "mobilenet_v2_ssd320", "efficientnet_b3_ssd300"}) {
    Graph graph = read_cfg(SSDQ_SOURCE_DIR "/configs/backbones/" + name + ".cfg", {300, 300});
    append_heads(builtin_heads(), graph, {"SSDLiteBoxPredictor", {4, 6, 6, 6, 4, 4}, 21});
    const Cost total = cost(graph);
    std::vector<std::int64_t> bytes, live;
    for (const NodeCost& node : total.nodes) {
      bytes.push_back(node.output_bytes);
      live.push_back(node.live_bytes);
    }
    EXPECT_EQ(live, simulated(graph, bytes)) << name;
  }
}

TEST(Memory, KeepsOutputsAtTheWidestWidthThatAReaderWants) {
  const Graph graph = parse_cfg(kBranches, "x.cfg", {10, 10});
  // The image in 8 bits; the first map: 4 bits for the convolution, float for the sum.
  const WidthPlan mixed{{"backbone.0", {8, 8}}, {"backbone.1", {4, 4}}, {"backbone.5", {2, 3}}};
  EXPECT_THAT(output_widths(graph, mixed), ElementsAre(8, 32, 32, 32, 3, 3, 32));
  // With quantized inputs of the sum, the widest of 4, 6 and what the route's pool's reader wants.
  const WidthPlan merged{{"backbone.1", {4, 4}}, {"backbone.2", {32, 6}}, {"backbone.5", {2, 3}}};
  EXPECT_THAT(output_widths(graph, merged), ElementsAre(32, 6, 6, 32, 3, 3, 32));
}

TEST(Cost, CountsBitsOfWeightsAndOperations) {
  const Graph graph = parse_cfg(
      "[convolutional]\nbatch_normalize=1\nfilters=3\nsize=3\npad=1\n"
      "[convolutional]\nfilters=5\nsize=1\nfeature=linear\nfeature_idx=0\n",
      "x.cfg", {4, 4});
  const Cost total = cost(graph, {{"backbone.0", {3, 8}}, {"backbone.1", {2, 4}}});
  EXPECT_EQ(total.nodes[1].weights, 81);
  EXPECT_EQ(total.nodes[1].weight_bytes, 31 + 6 * 4);  // 243 bits, then scales and shifts
  EXPECT_EQ(total.nodes[1].bops, 81 * 16 * 24);
  EXPECT_EQ(total.nodes[2].weight_bytes, 4 + 5 * 4);  // 30 bits, then biases
  EXPECT_EQ(total.nodes[2].bops, 15 * 16 * 8);
  EXPECT_EQ(total.bops, 81 * 16 * 24 + 15 * 16 * 8);
  EXPECT_EQ(total.nodes[0].output_bytes, 48);  // one byte for each value of the image
  EXPECT_EQ(total.nodes[1].output_bytes, 24);
  EXPECT_EQ(total.nodes[2].output_bytes, 5 * 16 * 4);
  const Cost in_float = cost(graph);
  EXPECT_EQ(in_float.bops, in_float.macs * 1024);
  EXPECT_EQ(in_float.weight_bytes, in_float.params * 4);
}

}  // namespace
}  // namespace ssdq
