#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/core.hpp>

#include "ssdq/utils/error.h"
#include "ssdq/visualization/histogram.h"
#include "ssdq/visualization/picture_grid.h"
#include "ssdq/visualization/plot_axes.h"
#include "ssdq/visualization/scatter.h"

namespace ssdq {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

int pixels_of(const cv::Mat& image, const cv::Scalar& color) {
  cv::Mat mask;
  cv::inRange(image, color, color, mask);
  return cv::countNonZero(mask);
}

TEST(Plots, TicksAreRoundAndInside) {
  EXPECT_THAT(round_ticks({0, 300}, 6),
              Pointwise(DoubleNear(1e-9), {0., 50., 100., 150., 200., 250., 300.}));
  EXPECT_THAT(round_ticks({-0.07, 0.12}, 4), Pointwise(DoubleNear(1e-9), {-0.05, 0., 0.05, 0.1}));
  EXPECT_THAT(round_ticks({1e6, 3e6}, 2), ElementsAre(1e6, 2e6, 3e6));
}

TEST(Plots, AxesMapTheCornersOfTheirRanges) {
  PlotOptions options;
  options.x = {10, 20};
  options.y = {-1, 1};
  const PlotAxes axes(options);
  EXPECT_EQ(axes.pixel(10, -1), cv::Point2d(axes.inside().x, axes.inside().br().y - 1));
  EXPECT_EQ(axes.pixel(20, 1), cv::Point2d(axes.inside().br().x - 1, axes.inside().y));
  options.x = {1, 1};
  EXPECT_THROW(PlotAxes{options}, Error);
  options.x = {0, std::numeric_limits<double>::infinity()};
  EXPECT_THROW(PlotAxes{options}, Error);
}

TEST(Plots, BinsHoldEveryValueOfTheRangeOnce) {
  EXPECT_THAT(count_bins({0, 0.24F, 0.25F, 0.99F, 1, -0.01F, 1.01F, NAN}, {0, 1}, 4),
              ElementsAre(2, 1, 0, 2));
  EXPECT_THROW(count_bins({1}, {1, 1}, 4), Error);
}

TEST(Plots, ScatterDrawsPointsWhereTheyLieAndLeavesOthersOut) {
  PlotOptions options;
  options.size = {400, 300};
  options.x = {0, 10};
  options.y = {0, 10};
  const cv::Scalar red(255, 0, 0);
  const auto drawn = [&](const cv::Point2d& point) {
    return draw_scatter({{"", {point}, red, Marker::kCross}}, options);
  };
  const cv::Mat inside = drawn({5, 5}), outside = drawn({11, 5});
  const cv::Point2d at = PlotAxes(options).pixel(5, 5);
  const cv::Point center(static_cast<int>(std::lround(at.x)), static_cast<int>(std::lround(at.y)));
  EXPECT_EQ(inside.at<cv::Vec3b>(center), cv::Vec3b(255, 0, 0));
  EXPECT_GT(pixels_of(inside, red), pixels_of(outside, red));
}

TEST(Plots, HistogramShowsTheRangeEvenWhereNoValueIs) {
  const cv::Scalar shade(250, 232, 228);
  HistogramOptions options;
  const std::vector<float> values{-0.1F, 0, 0, 0.1F};
  const cv::Mat clipped =
      draw_histogram(values, PlotRange{-0.05, 0.05}, {-0.05F, 0, 0.05F}, options);
  const cv::Mat covered = draw_histogram(values, PlotRange{-1, 1}, {}, options);
  const cv::Mat plain = draw_histogram(values, std::nullopt, {}, options);
  EXPECT_GT(pixels_of(clipped, shade), 4 * pixels_of(covered, shade));
  EXPECT_GT(pixels_of(covered, shade), 0);
  EXPECT_EQ(pixels_of(plain, shade), 0);
  EXPECT_EQ(clipped.size(), options.size);
  EXPECT_NO_THROW(draw_histogram({0.5F, 0.5F}, std::nullopt, {}, options));
  EXPECT_THROW(draw_histogram({}, std::nullopt, {}, options), Error);
  EXPECT_THROW(draw_histogram({1, NAN}, std::nullopt, {}, options), Error);
}

TEST(Plots, HistogramMarksAValueOnTheAxisAskedFor) {
  const cv::Scalar red(200, 50, 40);
  const auto drawn = [](double line) {
    HistogramOptions options;
    options.range = PlotRange{0, 4};
    options.line = line;
    return draw_histogram({0.5F, 1, 1, 9}, std::nullopt, {}, options);
  };
  PlotOptions axes;
  axes.size = HistogramOptions{}.size;
  axes.x = {0, 4};
  const cv::Mat marked = drawn(3);
  const auto at = PlotAxes(axes).pixel(3, 0.5);
  const cv::Vec3b found = marked.at<cv::Vec3b>(
      cv::Point(static_cast<int>(std::lround(at.x)), static_cast<int>(std::lround(at.y))));
  EXPECT_EQ(found, cv::Vec3b(200, 50, 40));
  EXPECT_GT(pixels_of(marked, red), pixels_of(drawn(5), red));  // whose line lies outside
  HistogramOptions away;
  away.range = PlotRange{10, 12};
  EXPECT_NO_THROW(draw_histogram({0.5F, 1}, std::nullopt, {}, away));
}

TEST(Plots, GridFillsRowsAndLeavesTheRestWhite) {
  std::vector<cv::Mat> pictures;
  for (int i = 0; i < 5; ++i) {
    pictures.emplace_back(2, 4, CV_8UC3, cv::Scalar::all(10 * i));
  }
  const cv::Mat grid = picture_grid(pictures);
  ASSERT_EQ(grid.size(), cv::Size(12, 4));
  EXPECT_EQ(grid.at<cv::Vec3b>(1, 8), cv::Vec3b(20, 20, 20));
  EXPECT_EQ(grid.at<cv::Vec3b>(2, 7), cv::Vec3b(40, 40, 40));
  EXPECT_EQ(grid.at<cv::Vec3b>(3, 8), cv::Vec3b(255, 255, 255));
  pictures.push_back(cv::Mat(3, 4, CV_8UC3, cv::Scalar::all(0)));
  EXPECT_THROW(picture_grid(pictures), Error);
  EXPECT_THROW(picture_grid({}), Error);
}

}  // namespace
}  // namespace ssdq
