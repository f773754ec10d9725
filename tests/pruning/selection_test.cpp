#include "ssdq/pruning/selection.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/config/reader.h"
#include "ssdq/engine/experiment.h"
#include "ssdq/engine/registries.h"
#include "ssdq/pruning/nearest_place.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

std::vector<std::string> shipped_configs() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(SSDQ_SOURCE_DIR "/configs")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int count_kept(const ChannelGroup& group, const KeptUnits& kept) {
  return static_cast<int>(
      std::count_if(group.units.begin(), group.units.end(), [&](int unit) { return kept[unit]; }));
}

ChannelGroup group_of(std::vector<int> units) {
  ChannelGroup group;
  group.units = std::move(units);
  return group;
}

TEST(SelectUnits, CutsAtOneThresholdAndKeepsTheBestOfEachGroup) {
  const std::vector<ChannelGroup> groups = {group_of({0, 1, 2, 3}), group_of({5, 6})};
  const std::vector<double> scores = {0.9, 0.8, 0.7, 0.6, 0, 0.1, 0.2};  // 4 is in no group
  const auto sorted = sorted_scores(groups, scores);
  EXPECT_EQ(sorted, (std::vector<double>{0.1, 0.2, 0.6, 0.7, 0.8, 0.9}));
  EXPECT_EQ(threshold_at(sorted, 0.5), 0.7);
  EXPECT_EQ(select_units(groups, scores, 0.7, {}),
            (KeptUnits{true, true, true, false, true, false, true}));
  EXPECT_EQ(select_units(groups, scores, threshold_at(sorted, 0.999), {}),
            (KeptUnits{true, false, false, false, true, false, true}));
  EXPECT_EQ(select_units(groups, scores, 0.7, {true, 2}),
            (KeptUnits{true, true, true, true, true, true, true}));
}

TEST(SelectUnits, OfRanksRemovesAnyNumberOfEquals) {
  const std::vector<ChannelGroup> groups = {group_of({1, 2, 3, 4}), group_of({6, 7})};
  const std::vector<double> scores = {9, 0, 0, 0, 0.5, 9, 0, 0.25};  // 0 and 5 are in no group
  const auto ranks = ranks_of(groups, scores);
  EXPECT_EQ(ranks, (std::vector<double>{0, 0, 1, 2, 5, 0, 3, 4}));
  EXPECT_EQ(select_units(groups, ranks, 2, {}),
            (KeptUnits{true, false, false, true, true, true, true, true}));
  EXPECT_THROW(ranks_of(groups, {9, 0, 0, std::nan(""), 0, 9, 0, 0}), Error);
}

TEST(SelectUnits, RefusesWhatItCannotCut) {
  for (const double percent : {-0.1, 1.0, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(threshold_at({1, 2}, percent), ConfigError) << percent;
  }
  const std::vector<ChannelGroup> groups = {group_of({0, 1})};
  EXPECT_THROW(select_units(groups, {1, 2}, 1, {true, 0}), ConfigError);
  EXPECT_THROW(sorted_scores(groups, {1, std::numeric_limits<double>::infinity()}), Error);
  EXPECT_EQ(threshold_at({}, 0.5), 0);
  EXPECT_TRUE(select_units({}, {}, 0, {}).empty());
}

// Against a look at every place.
TEST(NearestPlace, IsThatOfAnExhaustiveSearch) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> values(1 + random() % 40);
    for (double& value : values) value = static_cast<double>(random() % 50);
    std::sort(values.rbegin(), values.rend());
    const double wanted = static_cast<double>(random() % 60) - 5;
    int calls = 0;
    const auto found = nearest_place(values.size(), wanted, [&](size_t place) {
      ++calls;
      return values[place];
    });
    double least = std::numeric_limits<double>::infinity();
    for (const double value : values) least = std::min(least, std::abs(value - wanted));
    EXPECT_EQ(std::abs(found.value - wanted), least);
    EXPECT_EQ(values[found.place], found.value);
    EXPECT_LE(calls, 9);
  }
}

class ShippedGroups : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto registries = builtin_registries();
    const auto loaded = load_config(GetParam(), {"MODEL.DEVICE", "cpu"});
    experiment = build_experiment(loaded.config, loaded.file, registries);
    units = channel_units(experiment.graph);
    std::mt19937 random(11);
    for (int i = 0; i < units.count; ++i) {
      scores.push_back(std::uniform_real_distribution<>(0, 1)(random));
    }
  }

  // The laws of a selection with distinct scores.
  void expect_laws(const std::vector<ChannelGroup>& groups, double percent,
                   const CountRounding& options) {
    const double threshold = threshold_at(sorted_scores(groups, scores), percent);
    const auto kept_units = select_units(groups, scores, threshold, options);
    int total = 0, kept = 0;
    for (const auto& group : groups) {
      const int size = static_cast<int>(group.units.size()), count = count_kept(group, kept_units);
      total += size;
      kept += count;
      EXPECT_GE(count, options.regular ? std::min(options.multiple, size) : 1);
      if (options.regular && count < size) {
        EXPECT_EQ(count % options.multiple, 0);
      }
      double worst_kept = 1, best_removed = 0;
      for (const int unit : group.units) {
        if (kept_units[unit]) {
          worst_kept = std::min(worst_kept, scores[unit]);
        } else {
          best_removed = std::max(best_removed, scores[unit]);
        }
      }
      EXPECT_LE(best_removed, worst_kept);
      EXPECT_LE(best_removed, threshold);
    }
    const int wanted = total - static_cast<int>(total * percent);
    EXPECT_GE(kept, wanted);
    if (!options.regular) {
      EXPECT_LE(kept, wanted + static_cast<int>(groups.size()));
    }
    EXPECT_NO_THROW(infer_shapes(prune_graph(experiment.graph, units, kept_units)));
  }

  Experiment experiment;
  ChannelUnits units;
  std::vector<double> scores;
};

TEST_P(ShippedGroups, KeepTheLawsForEveryScopeAndPercent) {
  for (const auto scope : {PruneScope::kNormal, PruneScope::kShortcut, PruneScope::kAll}) {
    const auto groups = groups_in_scope(experiment.graph, units, scope);
    for (const double percent : {0.0, 0.3, 0.7, 0.999}) {
      for (const bool regular : {false, true}) {
        expect_laws(groups, percent, {regular, 8});
      }
    }
    const auto all =
        select_units(groups, scores, threshold_at(sorted_scores(groups, scores), 0), {});
    EXPECT_EQ(prune_graph(experiment.graph, units, all), experiment.graph);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedGroups, ::testing::ValuesIn(shipped_configs()),
                         [](const auto& test) {
                           return std::filesystem::path(test.param).stem().string();
                         });

}  // namespace
}  // namespace ssdq
