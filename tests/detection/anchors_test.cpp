#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ssdq/config/reader.h"
#include "ssdq/config/writer.h"
#include "ssdq/detection/anchor_clusters.h"
#include "ssdq/detection/anchor_report.h"
#include "ssdq/detection/anchor_statistics.h"
#include "ssdq/detection/anchor_suggestion.h"
#include "ssdq/detection/priors.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

const std::vector<Size2> kMaps{{38, 38}, {19, 19}, {10, 10}, {5, 5}, {3, 3}, {1, 1}};
const Size2 kImage{300, 300};

std::vector<Box> random_boxes(int count, uint32_t seed, float least, float most) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> side(least, most), share(0, 1);
  std::vector<Box> boxes;
  for (int i = 0; i < count; ++i) {
    const float width = side(random), height = side(random);
    const float x = share(random) * (300 - width), y = share(random) * (300 - height);
    boxes.push_back({x, y, x + width, y + height});
  }
  return boxes;
}

Box corners(const CenterBox& box, Size2 size) {
  const auto width = static_cast<float>(size.width), height = static_cast<float>(size.height);
  return {(box.cx - box.w / 2) * width, (box.cy - box.h / 2) * height, (box.cx + box.w / 2) * width,
          (box.cy + box.h / 2) * height};
}

// The best IoU with any default box, by comparing with all of them.
float naive_best(const std::vector<CenterBox>& priors, const Box& box, Size2 size) {
  float best = 0;
  for (const CenterBox& prior : priors) {
    best = std::max(best, iou(box, corners(prior, size)));
  }
  return best;
}

void expect_as_naive(const PriorsConfig& config, const std::vector<Size2>& maps, Size2 size,
                     const std::vector<Box>& boxes) {
  const auto priors = make_priors(config, maps, size);
  const auto levels = prior_levels(config, maps, size);
  double sum = 0, found = 0;
  for (const Box& box : boxes) {
    const float expected = naive_best(priors, box, size);
    float best = 0;
    for (const PriorLevel& level : levels) {
      best = std::max(best, best_iou(level, box));
    }
    ASSERT_NEAR(best, expected, 2e-5) << box.x1 << " " << box.y1 << " " << box.x2 << " " << box.y2;
    sum += expected;
    found += expected >= 0.5F ? 1 : 0;
  }
  const Coverage coverage = measure_coverage(levels, boxes);
  const auto count = static_cast<double>(boxes.size());
  EXPECT_NEAR(coverage.all.mean_iou, sum / count, 1e-5);
  EXPECT_NEAR(coverage.all.recall, found / count, 1e-9);
  EXPECT_EQ(coverage.missed, static_cast<int64_t>(count - found));
}

TEST(Coverage, IsThatOfAllDefaultBoxesWhereTheyStand) {
  expect_as_naive({}, kMaps, kImage, random_boxes(300, 1, 4, 290));
}

TEST(Coverage, FollowsClippedAndUnclippedBoxesOfAnOblongInput) {
  PriorsConfig config;
  config.strides = {30, 90};
  config.min_sizes = {{40, 70}, {150}};
  config.max_sizes = {90, 400};
  config.aspect_ratios = {{2}, {3}};
  const Size2 size{180, 320};
  std::vector<Box> boxes = random_boxes(200, 2, 5, 170);
  boxes.push_back({0, 0, 320, 180});
  for (const bool clip : {false, true}) {
    config.clip = clip;
    // 11 columns of stride 30 reach beyond 320 pixels: their centres are clipped.
    expect_as_naive(config, {{6, 12}, {2, 4}}, size, boxes);
  }
}

TEST(Coverage, CountsBySizeAndLevel) {
  PriorsConfig config;
  config.strides = {100, 300};
  config.min_sizes = {{20}, {200}};
  config.max_sizes = {};
  config.aspect_ratios = {{}, {}};
  const std::vector<Size2> maps{{3, 3}, {1, 1}};
  const std::vector<Box> boxes{{40, 40, 60, 60},      // a default box of level 0
                               {50, 50, 250, 250},    // that of level 1
                               {125, 125, 185, 185},  // medium: 400 / 3600 and 3600 / 40000
                               {0, 0, 10, 10}};       // touches none
  const Coverage coverage = measure_coverage(prior_levels(config, maps, kImage), boxes);
  EXPECT_NEAR(coverage.all.mean_iou, (1 + 1 + 400.0 / 3600) / 4, 1e-6);
  EXPECT_EQ(coverage.missed, 2);
  EXPECT_EQ(coverage.by_size[0].boxes, 2);
  EXPECT_NEAR(coverage.by_size[0].recall, 0.5, 1e-9);
  EXPECT_EQ(coverage.by_size[1].boxes, 1);
  EXPECT_EQ(coverage.by_size[1].recall, 0);
  EXPECT_EQ(coverage.by_size[2].boxes, 1);
  EXPECT_EQ(coverage.by_level[0].boxes, 3);
  EXPECT_EQ(coverage.by_level[1].boxes, 1);
}

// The best mean IoU over all ways to put the shapes into two clusters, each with its best centre on
// a fine grid.
double best_pair(const std::vector<BoxShape>& shapes) {
  const auto best_total = [](const std::vector<BoxShape>& members) {
    double best = 0;
    for (float width = 4; width <= 100; width += 1) {
      for (float height = 4; height <= 100; height += 1) {
        double total = 0;
        for (const BoxShape& shape : members) total += shape_iou(shape, {width, height});
        best = std::max(best, total);
      }
    }
    return best;
  };
  double best = 0;
  for (uint32_t set = 0; set < 1U << (shapes.size() - 1); ++set) {
    std::vector<BoxShape> in, out;
    for (size_t i = 0; i < shapes.size(); ++i) {
      ((set >> i & 1U) != 0 ? in : out).push_back(shapes[i]);
    }
    best = std::max(best, best_total(in) + best_total(out));
  }
  return best / static_cast<double>(shapes.size());
}

TEST(Clusters, AreAsGoodAsTheBestOfAllPartitions) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> side(5, 95);
  for (int trial = 0; trial < 6; ++trial) {
    std::vector<BoxShape> shapes;
    for (int i = 0; i < 6; ++i) shapes.push_back({side(random), side(random)});
    const auto clusters = cluster_shapes(shapes, {2, 7, 12, 100});
    EXPECT_GE(clusters.mean_iou, best_pair(shapes) - 2e-3);
  }
}

TEST(Clusters, NeverLoseMeanIouAndAreTheSameAgain) {
  const auto shapes = shapes_of(random_boxes(400, 4, 5, 250));
  const auto clusters = cluster_shapes(shapes, {9, 11, 4, 100});
  EXPECT_THAT(clusters.history, testing::SizeIs(testing::Gt(2U)));
  EXPECT_TRUE(std::is_sorted(clusters.history.begin(), clusters.history.end()));
  EXPECT_DOUBLE_EQ(clusters.history.back(), clusters.mean_iou);
  const auto again = cluster_shapes(shapes, {9, 11, 4, 100});
  EXPECT_EQ(clusters.mean_iou, again.mean_iou);
  EXPECT_EQ(clusters.members, again.members);
  double sum = 0;
  for (const BoxShape& shape : shapes) {
    float best = 0;
    for (const BoxShape& center : clusters.centers) best = std::max(best, shape_iou(shape, center));
    sum += best;
  }
  EXPECT_NEAR(sum / 400, clusters.mean_iou, 1e-6);
}

TEST(Clusters, StartWithAPartOfManyShapesAndEndWithAll) {
  const auto shapes = shapes_of(random_boxes(45000, 9, 5, 250));
  const auto clusters = cluster_shapes(shapes, {4, 3, 2, 30});
  EXPECT_EQ(std::accumulate(clusters.members.begin(), clusters.members.end(), int64_t{0}), 45000);
  EXPECT_TRUE(std::is_sorted(clusters.history.begin(), clusters.history.end()));
  const auto part = cluster_shapes({shapes.begin(), shapes.begin() + 15000}, {4, 3, 2, 30});
  EXPECT_NEAR(clusters.mean_iou, part.mean_iou, 0.01);
}

TEST(Clusters, TakeDegenerateData) {
  EXPECT_EQ(cluster_shapes({{10, 20}}, {1, 0, 2, 10}).mean_iou, 1);
  const auto equal = cluster_shapes({{8, 8}, {8, 8}, {8, 8}}, {2, 0, 2, 10});
  EXPECT_EQ(equal.centers.size(), 1U);
  EXPECT_THAT(equal.members, testing::ElementsAre(3));
  EXPECT_THROW(cluster_shapes({{8, 8}}, {2, 0, 2, 10}), ConfigError);
  EXPECT_THROW(cluster_shapes({}, {1, 0, 2, 10}), ConfigError);
  EXPECT_THROW(cluster_shapes({{8, 8}}, {0, 0, 2, 10}), ConfigError);
  EXPECT_THROW(shapes_of({{0, 0, 5, 5}, {3, 3, 3, 9}}), Error);
  const auto levels = prior_levels({}, kMaps, kImage);
  EXPECT_THROW(measure_coverage(levels, {}), Error);
  EXPECT_THROW(measure_coverage(levels, {{5, 5, 5, 9}}), Error);
  EXPECT_THROW(analyze_anchors({}, kMaps, kImage, {}, {0, 0, 1, 1}), Error);
  EXPECT_EQ(analyze_anchors({}, kMaps, kImage, {{5, 5, 25, 25}}, {0, 0, 1, 5}).clusters.members,
            std::vector<int64_t>{1});
}

TEST(Suggestion, CoversMoreLosesNoBoxAndLoadsAgain) {
  const auto boxes = random_boxes(500, 5, 8, 60);
  PriorsConfig current;
  const auto report = analyze_anchors(current, kMaps, kImage, boxes, {0, 0, 2, 30});
  const PriorSuggestion& found = report.suggestion;
  ASSERT_TRUE(found.better);
  EXPECT_GT(found.suggested.all.mean_iou, found.current.all.mean_iou + 0.01);
  EXPECT_LE(found.suggested.missed, found.current.missed);
  EXPECT_EQ(boxes_per_location(found.priors), boxes_per_location(current));
  const auto loaded = parse_config(priors_yaml(found.priors), "suggestion").model.priors;
  EXPECT_EQ(loaded.min_sizes, found.priors.min_sizes);
  EXPECT_EQ(loaded.max_sizes, found.priors.max_sizes);
  EXPECT_EQ(loaded.aspect_ratios, found.priors.aspect_ratios);
  EXPECT_DOUBLE_EQ(measure_coverage(prior_levels(loaded, kMaps, kImage), boxes).all.mean_iou,
                   found.suggested.all.mean_iou);
  const auto again = analyze_anchors(current, kMaps, kImage, boxes, {0, 0, 2, 30});
  EXPECT_EQ(to_text(again), to_text(report));
  EXPECT_EQ(to_json(again), to_json(report));
}

TEST(Suggestion, KeepsWhatCannotBeBetter) {
  PriorsConfig config;
  std::vector<Box> boxes;
  for (const CenterBox& prior : make_priors(config, kMaps, kImage)) {
    boxes.push_back(corners(prior, kImage));
  }
  const auto found = suggest_priors(config, kMaps, kImage, boxes, {});
  EXPECT_FALSE(found.better);
  EXPECT_NEAR(found.current.all.mean_iou, 1, 1e-5);
  EXPECT_EQ(found.priors.min_sizes, config.min_sizes);
}

TEST(Suggestion, HandlesListsOfSizesWithoutMaxSizes) {
  PriorsConfig config;
  config.strides = {8, 16};
  config.min_sizes = {{10, 16, 24}, {64, 96}};
  config.max_sizes = {};
  config.aspect_ratios = {{}, {}};
  const std::vector<Size2> maps{{38, 38}, {19, 19}};
  const auto report =
      analyze_anchors(config, maps, kImage, random_boxes(200, 6, 20, 120), {0, 0, 2, 30});
  EXPECT_GE(report.suggestion.suggested.all.mean_iou, report.suggestion.current.all.mean_iou);
  const auto loaded = parse_config(priors_yaml(report.suggestion.priors), "x").model.priors;
  EXPECT_EQ(loaded.min_sizes, report.suggestion.priors.min_sizes);
  EXPECT_TRUE(loaded.max_sizes.empty());
}

}  // namespace
}  // namespace ssdq
