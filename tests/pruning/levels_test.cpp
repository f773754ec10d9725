#include "ssdq/pruning/levels.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/graph/cfg_file.h"
#include "ssdq/graph/heads.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using ::testing::ElementsAre;
using ::testing::Not;

constexpr double kThreshold = 0.5;

std::string conv(const std::string& name, const std::string& more = "", int filters = 4) {
  return "[convolutional]\nname=" + name +
         "\nbatch_normalize=1\nsize=1\nactivation=relu\nfilters=" + std::to_string(filters) + "\n" +
         more;
}

std::string level(int index) {
  return "feature=linear\nfeature_idx=" + std::to_string(index) + "\n";
}

Graph detector(const std::string& cfg) {
  Graph graph = parse_cfg(cfg, "x.cfg", {8, 8});
  append_heads(builtin_heads(), graph,
               {"SSDBoxPredictor", std::vector<int>(graph.features.size(), 2), 3});
  return graph;
}

// Three levels in a row, the second of two convolutions.
Graph chain() {
  return detector(conv("a") + conv("f0", level(0)) + conv("b") + conv("f1", level(1)) + conv("c") +
                  conv("f2", level(2)));
}

// Levels to keep when all channels that the nodes write score 0.1, others 0.9.
int keep_when_low(const Graph& graph, const std::vector<std::string>& low,
                  PruneScope scope = PruneScope::kShortcut) {
  const auto units = channel_units(graph);
  std::vector<double> scores(static_cast<size_t>(units.count), 0.9);
  for (const auto& name : low) {
    for (const int unit : units.of[graph.find("backbone." + name)]) {
      scores[unit] = 0.1;
    }
  }
  return levels_to_keep(graph, units, groups_in_scope(graph, units, scope), scores, kThreshold);
}

TEST(LevelsToKeep, EndAtTheFirstLayerThatOnlyLaterLevelsRead) {
  EXPECT_EQ(keep_when_low(chain(), {}), 3);
  EXPECT_EQ(keep_when_low(chain(), {"c"}), 2);
  EXPECT_EQ(keep_when_low(chain(), {"f2"}), 2);
  EXPECT_EQ(keep_when_low(chain(), {"b"}), 1);
  EXPECT_EQ(keep_when_low(chain(), {"f1"}), 1);
  EXPECT_EQ(keep_when_low(chain(), {"b", "f2"}), 1);
}

// Level 0 stays, and so does what it reads, however low.
TEST(LevelsToKeep, AreAllWhereTheFirstLevelReadsTheLayer) {
  EXPECT_EQ(keep_when_low(chain(), {"a"}), 3);
  EXPECT_EQ(keep_when_low(chain(), {"f0"}), 3);
  EXPECT_EQ(keep_when_low(chain(), {"a", "c"}), 2);
}

// select_units() keeps channels of the threshold's own score, too.
TEST(LevelsToKeep, CountAScoreOnTheThresholdAsKept) {
  const Graph graph = chain();
  const auto units = channel_units(graph);
  const auto groups = groups_in_scope(graph, units, PruneScope::kNormal);
  std::vector<double> scores(static_cast<size_t>(units.count), 0.1);
  const auto& of = units.of[graph.find("backbone.c")];
  scores[of[2]] = kThreshold;
  for (const char* name : {"b", "f1", "f2"}) {
    scores[units.of[graph.find(std::string("backbone.") + name)][0]] = 1;
  }
  EXPECT_EQ(levels_to_keep(graph, units, groups, scores, kThreshold), 3);
  scores[of[2]] = kThreshold - 1e-9;
  EXPECT_EQ(levels_to_keep(graph, units, groups, scores, kThreshold), 2);
}

TEST(LevelsToKeep, LookOnlyAtGroupsInScope) {
  const Graph graph = detector(conv("f0", level(0)) + conv("wide") +
                               "[depthwise]\nname=dw\nsize=3\npad=1\n" + conv("f1", level(1)));
  EXPECT_EQ(keep_when_low(graph, {"wide"}, PruneScope::kNormal), 2);
  EXPECT_EQ(keep_when_low(graph, {"wide"}, PruneScope::kAll), 1);
}

// f1 = f0 + c(b(f0)): the sum passes level 0 on, and its channels are those of level 0.
TEST(LevelsToKeep, NeedEveryWayOfASumOrConcatenationToEnd) {
  const Graph sum = detector(conv("f0", level(0)) + conv("b") + conv("c") +
                             "[shortcut]\nname=f1\nfrom=-3\n" + level(1) + conv("f2", level(2)));
  EXPECT_EQ(keep_when_low(sum, {"b"}), 3);
  EXPECT_EQ(keep_when_low(sum, {"f0"}), 3);
  EXPECT_EQ(keep_when_low(sum, {"b", "f2"}), 2);
  const Graph concat = detector(conv("f0", level(0)) + conv("b") + "[route]\nlayers=-2\n" +
                                conv("c") + "[concat]\nlayers=-1,-3\n" + level(1));
  EXPECT_EQ(keep_when_low(concat, {"b"}), 2);
  EXPECT_EQ(keep_when_low(concat, {"c"}), 2);
  EXPECT_EQ(keep_when_low(concat, {"b", "c"}), 1);
}

// Levels that do not read each other: only a tail can go.
TEST(LevelsToKeep, LeaveNoGap) {
  const Graph graph = detector(conv("a", level(0)) + conv("b", level(1)) + "[route]\nlayers=-2\n" +
                               conv("c", level(2)));
  EXPECT_EQ(keep_when_low(graph, {"b"}), 3);
  EXPECT_EQ(keep_when_low(graph, {"c"}), 2);
  EXPECT_EQ(keep_when_low(graph, {"b", "c"}), 1);
}

// Level 0 is made of level 1's source, as in feature pyramids: top goes as a level, but stays as a
// layer.
Graph pyramid() {
  return detector(conv("bottom") + conv("top") + "[maxpool]\nname=half\nsize=2\nstride=2\n" +
                  conv("smooth", level(1)) + "[route]\nlayers=-2\n" +
                  "[upsample]\nname=up\nstride=2\n" + "[concat]\nlayers=-1,0\n" +
                  conv("f0", level(0)));
}

TEST(LevelsToKeep, KeepWhatOtherLevelsAreMadeOf) {
  EXPECT_EQ(keep_when_low(pyramid(), {"top"}), 2);
  EXPECT_EQ(keep_when_low(pyramid(), {"smooth"}), 1);
}

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> all;
  for (const Node& node : graph.nodes) {
    all.push_back(node.name);
  }
  return all;
}

TEST(WithoutLevels, LeavesOutHeadsAndWhatServesNoLevel) {
  const Graph one = without_levels(chain(), 1);
  EXPECT_THAT(names(one), ElementsAre("input", "backbone.a", "backbone.f0", "head.cls.0",
                                      "head.cls.0.out", "head.box.0", "head.box.0.out"));
  EXPECT_THAT(one.features, ElementsAre(2));
  EXPECT_EQ(without_levels(chain(), 3), chain());
}

TEST(WithoutLevels, KeepsNamesWhereSectionsVanishInTheMiddle) {
  const Graph one = without_levels(pyramid(), 1);
  EXPECT_THAT(names(one), Not(::testing::Contains("backbone.smooth")));
  ASSERT_NO_THROW(one.find("backbone.up"));
  ASSERT_NO_THROW(one.find("backbone.6"));  // the concat, now the section of index 5
  Graph again = parse_cfg(write_cfg(one), "y.cfg", {8, 8});
  append_heads(builtin_heads(), again, {"SSDBoxPredictor", {2}, 3});
  EXPECT_EQ(again, one);
}

TEST(WithoutLevels, RefusesCountsOutOfRange) {
  EXPECT_THROW(without_levels(chain(), 0), Error);
  EXPECT_THROW(without_levels(chain(), 4), Error);
}

TEST(KeptInPart, FollowsNodesByName) {
  const Graph whole = pyramid();
  const auto units = channel_units(whole);
  KeptUnits kept(static_cast<size_t>(units.count), true);
  for (const char* removed : {"backbone.smooth", "backbone.top", "backbone.f0"}) {
    kept[units.of[whole.find(removed)][1]] = false;
  }
  const Graph part = without_levels(whole, 1);
  const auto part_units = channel_units(part);
  const auto in_part = kept_in_part(whole, units, kept, part, part_units);
  for (size_t id = 0; id < part.nodes.size(); ++id) {
    EXPECT_EQ(kept_channels(part_units, static_cast<NodeId>(id), in_part),
              kept_channels(units, whole.find(part.nodes[id].name), kept))
        << part.nodes[id].name;
  }
}

}  // namespace
}  // namespace ssdq
