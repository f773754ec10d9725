#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/core.hpp>

#include "ssdq/utils/error.h"
#include "ssdq/visualization/bar_chart.h"
#include "ssdq/visualization/curves.h"
#include "ssdq/visualization/plot_text.h"

namespace ssdq {
namespace {

using testing::ElementsAre;

const cv::Scalar kWhite(255, 255, 255);

int pixels_of(const cv::Mat& image, const cv::Scalar& color) {
  cv::Mat mask;
  cv::inRange(image, color, color, mask);
  return cv::countNonZero(mask);
}

bool blank(const cv::Mat& image) {
  return pixels_of(image, kWhite) == static_cast<int>(image.total());
}

bool equal(const cv::Mat& a, const cv::Mat& b) {
  return a.size() == b.size() && cv::norm(a, b, cv::NORM_INF) == 0;
}

bool blank_border(const cv::Mat& image) {
  return blank(image.row(0)) && blank(image.row(image.rows - 1)) && blank(image.col(0)) &&
         blank(image.col(image.cols - 1));
}

cv::Vec3b color_at(const cv::Mat& image, const cv::Point2d& at) {
  return image.at<cv::Vec3b>(static_cast<int>(std::lround(at.y)),
                             static_cast<int>(std::lround(at.x)));
}

cv::Vec3b bytes(const cv::Scalar& color) {
  return {static_cast<uchar>(color[0]), static_cast<uchar>(color[1]), static_cast<uchar>(color[2])};
}

// Names with letters that reach below the line, long ones among them.
std::vector<Bar> many_bars(int count) {
  std::vector<Bar> bars;
  for (int i = 0; i < count; ++i) {
    const int total = 16 << (i % 7);
    bars.push_back({"gjpqy_" + std::string(static_cast<std::size_t>(i % 60), 'W'),
                    (i * 7919) % (total + 1), total});
  }
  return bars;
}

TEST(BarChart, FillsTheShareThatIsKept) {
  for (const int count : {1, 5, 80}) {
    const std::vector<Bar> bars = many_bars(count);
    const BarChartLayout layout = bar_chart_layout(bars, {});
    const cv::Mat image = draw_bar_chart(bars, {});
    double most = 0;
    for (const Bar& bar : bars) most = std::max(most, static_cast<double>(bar.total));
    for (std::size_t i = 0; i < bars.size(); ++i) {
      const cv::Rect& whole = layout.totals[i];
      const cv::Mat line =
          image(cv::Rect(layout.bars.x, whole.y + whole.height / 2, layout.bars.width, 1));
      const double kept = static_cast<double>(bars[i].kept) / most * layout.bars.width;
      const double total = static_cast<double>(bars[i].total) / most * layout.bars.width;
      const int filled = pixels_of(line, kBarKept);
      EXPECT_NEAR(filled, kept, 1) << bars[i].name;
      EXPECT_NEAR(filled + pixels_of(line, kBarRemoved), total, 1) << bars[i].name;
      EXPECT_EQ(filled > 0, bars[i].kept > 0);
    }
  }
}

TEST(BarChart, KeepsTextOutOfTheBarsAndRowsApart) {
  const std::vector<Bar> bars = many_bars(80);
  const BarChartLayout layout = bar_chart_layout(bars, {});
  const cv::Mat image = draw_bar_chart(bars, {});
  ASSERT_EQ(image.size(), layout.size);
  EXPECT_TRUE(blank_border(image));
  const cv::Mat area = image(layout.bars);
  EXPECT_EQ(pixels_of(area, kWhite) + pixels_of(area, kPlotGrid) + pixels_of(area, kBarKept) +
                pixels_of(area, kBarRemoved),
            layout.bars.area());
  EXPECT_LT(layout.names.br().x, layout.bars.x);
  EXPECT_LT(layout.bars.br().x, layout.numbers.x);
  EXPECT_FALSE(blank(image(layout.names)));
  EXPECT_FALSE(blank(image(layout.numbers)));
  const int row = layout.bars.height / static_cast<int>(bars.size());
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const int top = layout.bars.y + row * static_cast<int>(i);
    EXPECT_GT(layout.totals[i].y, top);
    EXPECT_LT(layout.totals[i].br().y, top + row);
    EXPECT_TRUE(blank(image(cv::Rect(layout.names.x, top, layout.names.width, 1)))) << i;
    EXPECT_TRUE(blank(image(cv::Rect(layout.numbers.x, top, layout.numbers.width, 1)))) << i;
  }
}

TEST(BarChart, GrowsByTheSameHeightForEveryBar) {
  const auto height = [](int bars) { return draw_bar_chart(many_bars(bars), {}).rows; };
  const int row = height(2) - height(1);
  EXPECT_GE(row, 16);
  EXPECT_EQ(height(80) - height(1), 79 * row);
}

TEST(BarChart, RefusesWhatIsNoShare) {
  EXPECT_THROW(draw_bar_chart({}, {}), Error);
  EXPECT_THROW(draw_bar_chart({{"more", 9, 8}}, {}), Error);
  EXPECT_THROW(draw_bar_chart({{"negative", -1, 8}}, {}), Error);
  EXPECT_THROW(draw_bar_chart({{"empty", 0, 0}}, {}), Error);
  BarChartOptions narrow;
  narrow.width = 399;
  EXPECT_THROW(draw_bar_chart({{"good", 1, 8}}, narrow), Error);
}

const std::vector<Curve> kCurves = {{"masked", {{812, 0.8}, {400, 0.3}, {600, 0.61}}},
                                    {"compact", {{812, 0.7}, {600, 0.42}, {400, 0.1}}},
                                    {"fine-tuned", {{400, 0.75}}}};

TEST(Curves, MarksPointsWhereTheAxesSay) {
  const PlotAxes axes(curve_axes(kCurves, {}));
  const cv::Mat image = draw_curves(kCurves, {});
  EXPECT_TRUE(blank_border(image));
  for (std::size_t i = 0; i < kCurves.size(); ++i) {
    for (const cv::Point2d& point : kCurves[i].points) {
      const cv::Point2d at = axes.pixel(point.x, point.y);
      EXPECT_TRUE(axes.inside().contains(at));
      for (const cv::Point2d& off : {cv::Point2d(0, 0), {2, 1}, {-2, 1}, {0, -2}}) {
        EXPECT_EQ(color_at(image, at + off), bytes(curve_color(i))) << kCurves[i].name;
      }
    }
  }
}

TEST(Curves, JoinsNeighborsWhateverTheOrderOfPoints) {
  const cv::Mat image = draw_curves(kCurves, {});
  const PlotAxes axes(curve_axes(kCurves, {}));
  const cv::Point2d left = axes.pixel(400, 0.3), right = axes.pixel(600, 0.61);
  EXPECT_EQ(color_at(image, 0.5 * (left + right)), bytes(curve_color(0)));
  std::vector<Curve> shuffled = kCurves;
  for (Curve& curve : shuffled) std::reverse(curve.points.begin(), curve.points.end());
  EXPECT_TRUE(equal(draw_curves(shuffled, {}), image));
}

TEST(Curves, HaveColorsFarApartAndTheSameWithOthersMissing) {
  for (std::size_t i = 0; i < kMostCurves; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_GT(cv::norm(curve_color(i) - curve_color(j)), 60) << i << " and " << j;
    }
  }
  std::vector<Curve> fewer = kCurves;
  fewer[0].points.clear();
  const cv::Mat image = draw_curves(fewer, {});
  EXPECT_EQ(pixels_of(image, curve_color(0)), 0);
  EXPECT_GT(pixels_of(image, curve_color(1)), 0);
}

TEST(Curves, ShowNeighborsThatAreEqual) {
  for (const std::size_t first : {0U, 1U, 2U}) {
    std::vector<Curve> curves(4);
    curves[first].points = curves[first + 1].points = {{1, 1}, {2, 3}};
    const PlotAxes axes(curve_axes(curves, {}));
    const cv::Mat image = draw_curves(curves, {});
    for (const std::size_t i : {first, first + 1}) {
      EXPECT_GT(pixels_of(image(axes.inside()), curve_color(i)), 10) << i << " of " << first;
    }
  }
}

TEST(Curves, PutsTheWholeLegendAboveTheAxes) {
  CurvesOptions options;
  options.size = {420, 420};
  std::vector<Curve> curves;
  for (std::size_t i = 0; i < kMostCurves; ++i) {
    curves.push_back({"a rather long name " + std::string(10 * i, 'x'),
                      {{1, static_cast<double>(i)}, {2, static_cast<double>(i)}}});
  }
  const cv::Rect inside = PlotAxes(curve_axes(curves, options)).inside();
  const cv::Mat image = draw_curves(curves, options);
  EXPECT_TRUE(blank_border(image));
  for (std::size_t i = 0; i < kMostCurves; ++i) {
    EXPECT_GT(pixels_of(image.rowRange(0, inside.y), curve_color(i)), 10) << i;
  }
  EXPECT_TRUE(blank(image(cv::Rect(inside.x, inside.y - 2, inside.width, 2))));
}

TEST(Curves, DrawsOnePointAndEqualValues) {
  for (const std::vector<cv::Point2d>& points : std::vector<std::vector<cv::Point2d>>{
           {{812, 0.5}}, {{0, 0}}, {{-3, -3}}, {{5, 1e9}, {5, 1e9}}, {{1, 0.7}, {2, 0.7}}}) {
    const PlotAxes axes(curve_axes({{"one", points}}, {}));
    const cv::Mat image = draw_curves({{"one", points}}, {});
    EXPECT_EQ(color_at(image, axes.pixel(points[0].x, points[0].y)), bytes(curve_color(0)));
  }
}

TEST(Curves, RefuseNumbersThatAreNotFinite) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(draw_curves({{"x", {{bad, 0.5}}}}, {}), Error);
    EXPECT_THROW(draw_curves({{"y", {{1, 0.5}, {2, bad}}}}, {}), Error);
  }
  EXPECT_THROW(draw_curves({}, {}), Error);
  EXPECT_THROW(draw_curves({{"none", {}}}, {}), Error);
  EXPECT_THROW(draw_curves(std::vector<Curve>(kMostCurves + 1, {"many", {{1, 1}}}), {}), Error);
}

TEST(Ticks, HaveLabelsThatTellThemApart) {
  EXPECT_THAT(tick_labels({0, 0.2, 0.4}), ElementsAre("0", "0.2", "0.4"));
  EXPECT_THAT(tick_labels({-0.5}), ElementsAre("-0.5"));
  for (const PlotRange range : {PlotRange{812, 812.0001},
                                {0.71234567, 0.7123458},
                                {-1e7 - 4, -1e7},
                                {-3, 5},
                                {1e-9, 1.3e-9}}) {
    const std::vector<double> ticks = round_ticks(range, 6);
    const std::vector<std::string> labels = tick_labels(ticks);
    ASSERT_GE(ticks.size(), 3U);
    EXPECT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), ticks.size())
        << labels[0];
    for (std::size_t i = 0; i < ticks.size(); ++i) {
      EXPECT_NEAR(std::stod(labels[i]), ticks[i], 0.01 * (ticks[1] - ticks[0]));
    }
  }
}

TEST(PlotText, IsShortenedToItsWidthAtTheMiddle) {
  const std::string name = "backbone.stage4.block10.conv_with_a_long_name";
  EXPECT_EQ(fitted_text(name, 0.42, text_width(name, 0.42)), name);
  const std::string fitted = fitted_text(name, 0.42, 120);
  EXPECT_LE(text_width(fitted, 0.42), 120);
  EXPECT_GT(text_width(fitted, 0.42), 100);
  EXPECT_THAT(fitted, testing::AllOf(testing::StartsWith("backb"), testing::EndsWith("name"),
                                     testing::HasSubstr("..")));
}

}  // namespace
}  // namespace ssdq
