#include "ssdq/pruning/channel_groups.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/config/reader.h"
#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Stem 4, an inverted residual (expand 8, depthwise, project 4) added to the stem, a route that
// joins the sum with the expansion, a last convolution of 6 as the only feature.
constexpr const char* kCfg =
    "[convolutional]\nfilters=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\n"
    "[convolutional]\nfilters=8\nsize=1\nbatch_normalize=1\nactivation=relu6\n"
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu6\n"
    "[convolutional]\nfilters=4\nsize=1\nbatch_normalize=1\n"
    "[shortcut]\nfrom=-4\n"
    "[route]\nlayers=-1,2\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=6\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu\nfeature=l2_"
    "norm\n"
    "feature_idx=0\n";

Graph detector() {
  Graph graph = parse_cfg(kCfg, "net.cfg", {8, 8});
  HeadSpec head;
  head.num_classes = 3;
  head.boxes_per_location = {2};
  append_heads(builtin_heads(), graph, head);
  return graph;
}

std::vector<std::string> names(const Graph& graph, const std::vector<NodeId>& nodes) {
  std::vector<std::string> result;
  for (const NodeId id : nodes) {
    result.push_back(graph.nodes[id].name);
  }
  return result;
}

TEST(ChannelGroups, JoinWhatAddsDepthwiseAndConcatsTie) {
  const Graph graph = detector();
  const auto units = channel_units(graph);
  const auto groups = channel_groups(graph, units);
  ASSERT_EQ(groups.size(), 5U);  // with both predictions
  EXPECT_THAT(names(graph, groups[0].convs), ElementsAre("backbone.0", "backbone.3"));
  EXPECT_THAT(groups[0].depthwise, IsEmpty());
  EXPECT_TRUE(groups[0].added);
  EXPECT_EQ(groups[0].units.size(), 4U);
  EXPECT_THAT(names(graph, groups[1].convs), ElementsAre("backbone.1"));
  EXPECT_THAT(names(graph, groups[1].depthwise), ElementsAre("backbone.2"));
  EXPECT_FALSE(groups[1].added);
  EXPECT_THAT(names(graph, groups[2].convs), ElementsAre("backbone.7"));
  EXPECT_EQ(groups[3].fixed, "a prediction");
  EXPECT_EQ(groups[4].fixed, "a prediction");
  // The route holds the sum's channels, then the depthwise ones.
  const auto& joined = units.of[graph.find("backbone.5")];
  EXPECT_EQ(std::vector<int>(joined.begin(), joined.begin() + 4),
            units.of[graph.find("backbone.0")]);
  EXPECT_EQ(std::vector<int>(joined.begin() + 4, joined.end()), units.of[graph.find("backbone.1")]);
  EXPECT_EQ(units.of[graph.find("backbone.7")], units.of[graph.find("backbone.7.l2_norm")]);
}

TEST(ChannelGroups, ScopesTakeMoreAndMore) {
  const Graph graph = detector();
  const auto groups = channel_groups(graph, channel_units(graph));
  const auto taken = [&](PruneScope scope) {
    std::vector<int> indices;
    for (int i = 0; i < static_cast<int>(groups.size()); ++i) {
      if (in_scope(groups[i], scope)) indices.push_back(i);
    }
    return indices;
  };
  EXPECT_THAT(taken(PruneScope::kNormal), ElementsAre(2));
  EXPECT_THAT(taken(PruneScope::kShortcut), ElementsAre(0, 2));
  EXPECT_THAT(taken(PruneScope::kAll), ElementsAre(0, 1, 2));
}

TEST(ChannelGroups, OfGroupedConvolutionsAndSigmoidsAreFixed) {
  const Graph graph = parse_cfg(
      "[convolutional]\nfilters=4\nsize=1\n"
      "[convolutional]\nfilters=8\nsize=1\ngroups=2\n"
      "[convolutional]\nfilters=4\nsize=1\nactivation=sigmoid\n"
      "[convolutional]\nfilters=4\nsize=1\nfeature=linear\nfeature_idx=0\n",
      "net.cfg", {8, 8});
  std::vector<std::string> fixed;
  for (const auto& group : channel_groups(graph, channel_units(graph))) {
    fixed.push_back(group.fixed);
  }
  EXPECT_THAT(fixed, ElementsAre("a grouped convolution", "a grouped convolution",
                                 "an activation that is not 0 at 0", ""));
}

TEST(PruneGraph, KeepsTheSameChannelsEverywhere) {
  const Graph graph = detector();
  const auto units = channel_units(graph);
  KeptUnits kept(static_cast<size_t>(units.count), true);
  kept[units.of[graph.find("backbone.0")][2]] = false;
  for (const int channel : {0, 3, 7}) {
    kept[units.of[graph.find("backbone.2")][channel]] = false;
  }
  const Graph pruned = prune_graph(graph, units, kept);
  const auto shapes = infer_shapes(pruned);
  const auto channels = [&](const char* name) { return shapes[graph.find(name)].channels; };
  EXPECT_EQ(channels("backbone.0"), 3);
  EXPECT_EQ(channels("backbone.3"), 3);
  EXPECT_EQ(channels("backbone.2"), 5);
  EXPECT_EQ(channels("backbone.5"), 8);
  EXPECT_EQ(channels("head.cls.0"), 6);
  EXPECT_THAT(kept_channels(units, graph.find("backbone.5"), kept),
              ElementsAre(0, 1, 3, 5, 6, 8, 9, 10));
  EXPECT_EQ(parse_cfg(write_cfg(pruned), "pruned.cfg", {8, 8}).nodes.size() + 4,
            pruned.nodes.size());
  for (const int unit : units.of[graph.find("backbone.7")]) {
    kept[unit] = false;
  }
  EXPECT_THROW(prune_graph(graph, units, kept), Error);
}

}  // namespace
}  // namespace ssdq
