#include "ssdq/detection/matcher.h"

#include <random>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// The rules of the paper with loops over all pairs.
Targets naive_match(const std::vector<CenterBox>& priors, const std::vector<Object>& objects,
                    float threshold) {
  std::vector<int> owner(priors.size(), -1);
  std::vector<float> best(priors.size(), -1);
  for (size_t p = 0; p < priors.size(); ++p) {
    for (size_t g = 0; g < objects.size(); ++g) {
      const float overlap = iou(to_corners(priors[p]), objects[g].box);
      if (overlap > best[p]) {
        best[p] = overlap;
        owner[p] = static_cast<int>(g);
      }
    }
  }
  for (size_t g = 0; g < objects.size(); ++g) {
    size_t first = 0;
    for (size_t p = 1; p < priors.size(); ++p) {
      if (iou(to_corners(priors[p]), objects[g].box) >
          iou(to_corners(priors[first]), objects[g].box)) {
        first = p;
      }
    }
    owner[first] = static_cast<int>(g);
    best[first] = 2;
  }
  Targets targets;
  for (size_t p = 0; p < priors.size(); ++p) {
    const bool positive = best[p] >= threshold && owner[p] >= 0;
    targets.labels.push_back(positive ? objects[owner[p]].label : 0);
    targets.locations.push_back(positive ? encode(to_center(objects[owner[p]].box), priors[p], {})
                                         : std::array<float, 4>{0, 0, 0, 0});
  }
  return targets;
}

Object object(Box box, int label) {
  Object result;
  result.box = box;
  result.label = label;
  return result;
}

std::vector<Object> random_objects(std::mt19937& random, int count) {
  std::uniform_real_distribution<float> place(0, 0.9F);
  std::uniform_real_distribution<float> size(0.01F, 0.6F);
  std::vector<Object> objects;
  for (int i = 0; i < count; ++i) {
    const float x = place(random);
    const float y = place(random);
    objects.push_back(
        object({x, y, std::min(1.0F, x + size(random)), std::min(1.0F, y + size(random))}, i + 1));
  }
  return objects;
}

TEST(Matcher, EqualsTheNaiveRules) {
  const auto priors = make_priors(
      PriorsConfig{}, {{38, 38}, {19, 19}, {10, 10}, {5, 5}, {3, 3}, {1, 1}}, {300, 300});
  const Matcher matcher(priors, 0.5F, {});
  std::mt19937 random(7);
  for (const int count : {0, 1, 2, 5, 20}) {
    const auto objects = random_objects(random, count);
    const Targets expected = naive_match(priors, objects, 0.5F);
    const Targets actual = matcher.match(objects);
    EXPECT_EQ(actual.labels, expected.labels) << count << " objects";
    ASSERT_EQ(actual.locations.size(), expected.locations.size());
    for (size_t p = 0; p < priors.size(); ++p) {
      for (int i = 0; i < 4; ++i) {
        ASSERT_NEAR(actual.locations[p][i], expected.locations[p][i], 1e-4);
      }
    }
  }
}

TEST(Matcher, EveryObjectKeepsAPriorHoweverSmallTheOverlap) {
  const std::vector<CenterBox> priors{{0.25F, 0.25F, 0.5F, 0.5F}, {0.75F, 0.75F, 0.5F, 0.5F}};
  const Targets targets = match(priors, {object({0.9F, 0.9F, 0.91F, 0.91F}, 3)}, 0.5F, {});
  EXPECT_EQ(targets.labels, (std::vector<int64_t>{0, 3}));
}

TEST(Matcher, FirstOfEqualPriorsWins) {
  const std::vector<CenterBox> priors(40, {0.5F, 0.5F, 1.0F, 1.0F});
  const Targets targets = match(priors, {object({0.4F, 0.4F, 0.6F, 0.6F}, 1)}, 0.5F, {});
  EXPECT_EQ(targets.labels[0], 1);
  EXPECT_EQ(targets.labels[1], 0);
}

TEST(Matcher, FirstOfEqualObjectsOwnsThePriorsButTheLastIsForced) {
  const std::vector<CenterBox> priors{{0.5F, 0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F, 0.45F}};
  const Box box{0.25F, 0.25F, 0.75F, 0.75F};
  const Targets targets = match(priors, {object(box, 1), object(box, 2)}, 0.5F, {});
  EXPECT_EQ(targets.labels, (std::vector<int64_t>{2, 1}));
}

TEST(Matcher, AnOverlapOfExactlyTheThresholdIsEnough) {
  const std::vector<CenterBox> priors{{0.5F, 0.5F, 1.0F, 1.0F}, {0.5F, 0.25F, 1.0F, 0.5F}};
  const Targets targets = match(priors, {object({0, 0, 1, 0.5F}, 4)}, 0.5F, {});
  EXPECT_EQ(targets.labels, (std::vector<int64_t>{4, 4}));
}

TEST(Matcher, RefusesAnObjectWithoutExtent) {
  try {
    match({{0.5F, 0.5F, 1.0F, 1.0F}}, {object({0.5F, 0.25F, 0.5F, 0.75F}, 1)}, 0.5F, {});
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "object 0 has box (0.5, 0.25, 0.5, 0.75); expected positive width and height: run "
                 "check_data");
  }
}

}  // namespace
}  // namespace ssdq
