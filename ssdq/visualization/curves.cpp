#include "ssdq/visualization/curves.h"

#include <algorithm>
#include <cmath>

#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"
#include "ssdq/visualization/plot_text.h"

namespace ssdq {
namespace {

constexpr double kRoom = 0.06;
constexpr int kLegendTop = 40, kLegendLeft = 82, kLegendGap = 8;

constexpr int kRadius[kMostCurves] = {9, 6, 5, 4, 6, 5, 4};

void fill_marker(cv::Mat& image, std::size_t index, const cv::Point& at, int radius,
                 const cv::Scalar& color) {
  const int r = radius, tip = radius + 1;
  const cv::Point diamond[] = {
      {at.x, at.y - tip}, {at.x + tip, at.y}, {at.x, at.y + tip}, {at.x - tip, at.y}};
  const cv::Point triangle[] = {{at.x, at.y - tip}, {at.x + tip, at.y + r}, {at.x - tip, at.y + r}};
  switch (index % 4) {
    case 0:
      cv::circle(image, at, r, color, cv::FILLED, cv::LINE_AA);
      break;
    case 1:
      cv::rectangle(image, {at.x - r, at.y - r}, {at.x + r, at.y + r}, color, cv::FILLED);
      break;
    case 2:
      cv::fillConvexPoly(image, diamond, 4, color, cv::LINE_AA);
      break;
    default:
      cv::fillConvexPoly(image, triangle, 3, color, cv::LINE_AA);
  }
}

void draw_marker(cv::Mat& image, std::size_t index, const cv::Point& at) {
  const int radius = kRadius[index];
  fill_marker(image, index, at, radius + 1, {255, 255, 255});
  fill_marker(image, index, at, radius, curve_color(index));
}

std::vector<std::string> legend_of(const std::vector<Curve>& curves) {
  std::vector<std::string> names;
  for (const Curve& curve : curves) {
    if (!curve.points.empty()) names.push_back(curve.name);
  }
  return names;
}

int legend_width(const cv::Size& size) { return size.width - kLegendLeft - kLegendGap; }

std::vector<cv::Point> pixels_of(const Curve& curve, const PlotAxes& axes) {
  std::vector<cv::Point2d> points = curve.points;
  std::sort(points.begin(), points.end(), [](const cv::Point2d& a, const cv::Point2d& b) {
    return a.x != b.x ? a.x < b.x : a.y < b.y;
  });
  std::vector<cv::Point> pixels;
  for (const cv::Point2d& point : points) {
    const cv::Point2d pixel = axes.pixel(point.x, point.y);
    pixels.emplace_back(static_cast<int>(std::lround(pixel.x)),
                        static_cast<int>(std::lround(pixel.y)));
  }
  return pixels;
}

void draw_keys(cv::Mat& image, const std::vector<Curve>& curves) {
  const std::vector<cv::Rect> keys = draw_legend(
      image, legend_of(curves), {kLegendLeft, kLegendTop, legend_width(image.size()), image.rows});
  std::size_t key = 0;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    if (curves[i].points.empty()) continue;
    const cv::Rect& box = keys[key++];
    const int y = box.y + box.height / 2;
    cv::line(image, {box.x, y}, {box.br().x - 1, y}, curve_color(i), 2, cv::LINE_AA);
    draw_marker(image, i, {box.x + box.width / 2, y});
  }
}

}  // namespace

cv::Scalar curve_color(std::size_t index) {
  static const cv::Scalar colors[kMostCurves] = {{0, 114, 178},   {213, 94, 0},  {0, 158, 115},
                                                 {204, 121, 167}, {230, 159, 0}, {86, 180, 233},
                                                 {70, 70, 70}};
  SSDQ_CHECK(index < kMostCurves, "curves: no color for curve {}; there are {}", index,
             kMostCurves);
  return colors[index];
}

PlotOptions curve_axes(const std::vector<Curve>& curves, const CurvesOptions& options) {
  SSDQ_CHECK(curves.size() <= kMostCurves, "curves: {} of them; expected at most {}", curves.size(),
             kMostCurves);
  std::vector<double> xs, ys;
  for (const Curve& curve : curves) {
    for (const cv::Point2d& point : curve.points) {
      SSDQ_CHECK(std::isfinite(point.x) && std::isfinite(point.y),
                 "curves: '{}' has a point at {}, {}; expected finite numbers", curve.name, point.x,
                 point.y);
      xs.push_back(point.x);
      ys.push_back(point.y);
    }
  }
  SSDQ_CHECK(!xs.empty(), "curves: there are no points");
  const auto [left, right] = std::minmax_element(xs.begin(), xs.end());
  const auto [low, high] = std::minmax_element(ys.begin(), ys.end());
  PlotOptions axes;
  axes.size = options.size;
  axes.title = options.title;
  axes.x_label = options.x_label;
  axes.y_label = options.y_label;
  axes.x = with_room({*left, *right}, kRoom);
  axes.y = with_room({*low, *high}, kRoom);
  axes.header = legend_height(legend_of(curves), legend_width(options.size)) + kLegendGap;
  return axes;
}

cv::Mat draw_curves(const std::vector<Curve>& curves, const CurvesOptions& options) {
  PlotAxes axes(curve_axes(curves, options));
  cv::Mat& image = axes.image();
  std::vector<std::vector<cv::Point>> pixels;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    pixels.push_back(pixels_of(curves[i], axes));
    cv::polylines(image, pixels.back(), false, curve_color(i), 2, cv::LINE_AA);
  }
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    for (const cv::Point& at : pixels[i]) {
      draw_marker(image, i, at);
    }
  }
  draw_keys(image, curves);
  return image;
}

}  // namespace ssdq
