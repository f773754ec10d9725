#include "ssdq/detection/priors.h"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

const std::vector<Size2> ssd300_maps{{38, 38}, {19, 19}, {10, 10}, {5, 5}, {3, 3}, {1, 1}};

void expect_box(const CenterBox& box, double cx, double cy, double w, double h) {
  EXPECT_NEAR(box.cx, cx, 1e-6);
  EXPECT_NEAR(box.cy, cy, 1e-6);
  EXPECT_NEAR(box.w, w, 1e-6);
  EXPECT_NEAR(box.h, h, 1e-6);
}

PriorsConfig one_level() {
  PriorsConfig config;
  config.strides = {16};
  config.min_sizes = {{30}};
  config.max_sizes = {120};
  config.aspect_ratios = {{4}};
  config.clip = false;
  return config;
}

TEST(Priors, Ssd300HasThePublishedNumber) {
  const PriorsConfig config;
  EXPECT_EQ(boxes_per_location(config), config.boxes_per_location);
  EXPECT_EQ(make_priors(config, ssd300_maps, {300, 300}).size(), 8732U);
}

TEST(Priors, Ssd300StartsAndEndsAsComputedByHand) {
  const auto boxes = make_priors(PriorsConfig{}, ssd300_maps, {300, 300});
  const double center = 0.5 * 8 / 300;
  expect_box(boxes[0], center, center, 0.1, 0.1);                // 30 / 300
  expect_box(boxes[1], center, center, 0.14142136, 0.14142136);  // sqrt(30 * 60) / 300
  expect_box(boxes[2], center, center, 0.14142136, 0.07071068);  // 0.1 sqrt 2, 0.1 / sqrt 2
  expect_box(boxes[3], center, center, 0.07071068, 0.14142136);
  expect_box(boxes[4], 1.5 * 8 / 300, center, 0.1, 0.1);  // columns before rows
  expect_box(boxes[152], center, 1.5 * 8 / 300, 0.1, 0.1);
  expect_box(boxes[8728], 0.5, 0.5, 0.88, 0.88);              // 264 / 300
  expect_box(boxes[8729], 0.5, 0.5, 0.96124919, 0.96124919);  // sqrt(264 * 315) / 300
  expect_box(boxes[8730], 0.5, 0.5, 1.0, 0.62225397);         // 0.88 sqrt 2 is clipped
  expect_box(boxes[8731], 0.5, 0.5, 0.62225397, 1.0);
}

TEST(Priors, NonSquareImagesScaleEachAxisByItsOwnSide) {
  const auto boxes = make_priors(one_level(), {{2, 3}}, {100, 200});
  ASSERT_EQ(boxes.size(), 24U);
  expect_box(boxes[20 + 0], 2.5 * 16 / 200, 1.5 * 16 / 100, 30.0 / 200, 30.0 / 100);
  expect_box(boxes[20 + 1], 2.5 * 16 / 200, 1.5 * 16 / 100, 60.0 / 200, 60.0 / 100);
  expect_box(boxes[20 + 2], 2.5 * 16 / 200, 1.5 * 16 / 100, 60.0 / 200, 15.0 / 100);
  expect_box(boxes[20 + 3], 2.5 * 16 / 200, 1.5 * 16 / 100, 15.0 / 200, 60.0 / 100);
}

TEST(Priors, SeveralSizesAtOneLevelFollowOneAnother) {
  PriorsConfig config = one_level();
  config.min_sizes = {{30, 50}};
  config.max_sizes = {};
  EXPECT_EQ(boxes_per_location(config), std::vector<int>{6});
  const auto boxes = make_priors(config, {{1, 1}}, {100, 100});
  ASSERT_EQ(boxes.size(), 6U);
  expect_box(boxes[0], 0.08, 0.08, 0.3, 0.3);
  expect_box(boxes[1], 0.08, 0.08, 0.6, 0.15);
  expect_box(boxes[3], 0.08, 0.08, 0.5, 0.5);
  expect_box(boxes[5], 0.08, 0.08, 0.25, 1.0);
}

TEST(Priors, AMaxSizeOfZeroLeavesOutTheBoxBetween) {
  PriorsConfig config = one_level();
  config.strides = {0, 0};
  config.min_sizes = {{60}, {105}};
  config.max_sizes = {0, 150};
  config.aspect_ratios = {{2}, {2}};
  config.clip = false;
  EXPECT_EQ(boxes_per_location(config), (std::vector<int>{3, 4}));
  const auto boxes = make_priors(config, {{1, 1}, {1, 1}}, {300, 300});
  ASSERT_EQ(boxes.size(), 7U);
  expect_box(boxes[0], 0.5, 0.5, 0.2, 0.2);
  expect_box(boxes[1], 0.5, 0.5, 0.2 * std::sqrt(2.0), 0.2 / std::sqrt(2.0));
  expect_box(boxes[2], 0.5, 0.5, 0.2 / std::sqrt(2.0), 0.2 * std::sqrt(2.0));
  expect_box(boxes[3], 0.5, 0.5, 0.35, 0.35);
  expect_box(boxes[4], 0.5, 0.5, std::sqrt(105.0 * 150) / 300, std::sqrt(105.0 * 150) / 300);
}

TEST(Priors, AStrideOfZeroSpreadsTheBoxesEvenlyOverTheImage) {
  PriorsConfig config = one_level();
  config.strides = {0};
  config.clip = false;
  const auto boxes = make_priors(config, {{19, 10}}, {300, 200});
  const auto shapes = static_cast<size_t>(boxes_per_location(config)[0]);
  ASSERT_EQ(boxes.size(), 190 * shapes);
  for (size_t row = 0; row < 19; ++row) {
    for (size_t column = 0; column < 10; ++column) {
      const CenterBox& box = boxes[(row * 10 + column) * shapes];
      EXPECT_NEAR(box.cy, (static_cast<double>(row) + 0.5) / 19, 1e-6);
      EXPECT_NEAR(box.cx, (static_cast<double>(column) + 0.5) / 10, 1e-6);
    }
  }
}

// Squares alone, as of the Ultra-Light face detectors: two or three sizes, no ratios.
TEST(Priors, SeveralSizesWithoutMaxSizesAndRatiosAreSquares) {
  PriorsConfig config;
  config.strides = {8, 64};
  config.min_sizes = {{10, 16, 24}, {128, 256}};
  config.max_sizes = {};
  config.aspect_ratios = {{}, {}};
  EXPECT_EQ(boxes_per_location(config), (std::vector<int>{3, 2}));
  const auto boxes = make_priors(config, {{30, 40}, {4, 5}}, {240, 320});
  ASSERT_EQ(boxes.size(), 3U * 1200 + 2 * 20);
  expect_box(boxes[5], 12.0 / 320, 4.0 / 240, 24.0 / 320, 24.0 / 240);
  expect_box(boxes[3 * 41 + 1], 12.0 / 320, 12.0 / 240, 16.0 / 320, 16.0 / 240);
  expect_box(boxes[3600], 32.0 / 320, 32.0 / 240, 128.0 / 320, 128.0 / 240);
  expect_box(boxes.back(), 288.0 / 320, 224.0 / 240, 256.0 / 320, 1);
}

TEST(Priors, ClipActsOnCentreForm) {
  PriorsConfig config = one_level();
  config.min_sizes = {{150}};
  config.clip = true;
  for (const CenterBox& box : make_priors(config, {{8, 8}}, {100, 100})) {
    EXPECT_LE(box.cx, 1);
    EXPECT_LE(box.w, 1);
    EXPECT_LE(box.h, 1);
  }
  config.clip = false;
  const auto boxes = make_priors(config, {{8, 8}}, {100, 100});
  EXPECT_NEAR(boxes[0].w, 1.5, 1e-6);
  EXPECT_NEAR(boxes.back().cx, 7.5 * 16 / 100, 1e-6);
}

std::string message_of(const PriorsConfig& config, const std::vector<Size2>& maps) {
  try {
    make_priors(config, maps, {300, 300});
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Priors, ListsOfDifferentLengthAreRefused) {
  EXPECT_EQ(message_of(PriorsConfig{}, {{38, 38}}),
            "MODEL.PRIORS: MIN_SIZES has 6 levels and STRIDES 6, but the network has 1 feature "
            "maps; expected the same "
            "number");
  PriorsConfig config = one_level();
  config.max_sizes = {60, 120};
  EXPECT_EQ(message_of(config, {{2, 2}}),
            "MODEL.PRIORS: MIN_SIZES has 1 levels, MAX_SIZES 2 and ASPECT_RATIOS 1; expected the "
            "same number in each "
            "(MAX_SIZES may be empty)");
}

TEST(Priors, SizesThatAreNotPositiveAreRefused) {
  PriorsConfig config = one_level();
  config.min_sizes = {{0}};
  EXPECT_EQ(message_of(config, {{2, 2}}),
            "MODEL.PRIORS.MIN_SIZES: level 0 has 0; expected a number above 0");
  config = one_level();
  config.strides = {-8};
  EXPECT_EQ(message_of(config, {{2, 2}}),
            "MODEL.PRIORS.STRIDES: level 0 has -8; expected a number of pixels, or 0 for the "
            "image's side divided by the map's");
}

}  // namespace
}  // namespace ssdq
