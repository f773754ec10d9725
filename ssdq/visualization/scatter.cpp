#include "ssdq/visualization/scatter.h"

#include <cmath>

#include <opencv2/imgproc.hpp>

namespace ssdq {
namespace {

void draw_dots(cv::Mat canvas, const std::vector<cv::Point>& points, const cv::Scalar& color) {
  cv::Mat layer = canvas.clone();
  for (const cv::Point& point : points) {
    cv::circle(layer, point, 2, color, cv::FILLED, cv::LINE_AA);
  }
  cv::addWeighted(layer, 0.55, canvas, 0.45, 0, canvas);
}

void draw_cross(cv::Mat& canvas, const cv::Point& point, const cv::Scalar& color) {
  cv::drawMarker(canvas, point, {255, 255, 255}, cv::MARKER_TILTED_CROSS, 13, 5, cv::LINE_AA);
  cv::drawMarker(canvas, point, color, cv::MARKER_TILTED_CROSS, 12, 2, cv::LINE_AA);
}

void draw_ring(cv::Mat& canvas, const cv::Point& point, const cv::Scalar& color) {
  cv::circle(canvas, point, 6, {255, 255, 255}, 4, cv::LINE_AA);
  cv::circle(canvas, point, 6, color, 2, cv::LINE_AA);
}

}  // namespace

cv::Mat draw_scatter(const std::vector<ScatterSeries>& series, const PlotOptions& options) {
  PlotAxes axes(options);
  cv::Mat canvas = axes.canvas();
  for (const ScatterSeries& one : series) {
    std::vector<cv::Point> points;
    for (const cv::Point2d& point : one.points) {
      const bool in_range = point.x >= options.x.low && point.x <= options.x.high &&
                            point.y >= options.y.low && point.y <= options.y.high;
      if (in_range) {
        const cv::Point2d pixel = axes.pixel(point.x, point.y);
        points.emplace_back(static_cast<int>(std::lround(pixel.x)) - axes.inside().x,
                            static_cast<int>(std::lround(pixel.y)) - axes.inside().y);
      }
    }
    if (one.marker == Marker::kDot) {
      draw_dots(canvas, points, one.color);
      continue;
    }
    for (const cv::Point& point : points) {
      one.marker == Marker::kCross ? draw_cross(canvas, point, one.color)
                                   : draw_ring(canvas, point, one.color);
    }
  }
  for (const ScatterSeries& one : series) {
    axes.add_legend(one.name, one.color);
  }
  return axes.image();
}

}  // namespace ssdq
