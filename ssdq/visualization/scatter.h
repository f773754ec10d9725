#pragma once

#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/visualization/plot_axes.h"

namespace ssdq {

enum class Marker { kDot, kCross, kRing };

struct ScatterSeries {
  std::string name;  // in the legend
  std::vector<cv::Point2d> points;
  cv::Scalar color;  // R, G, B
  Marker marker = Marker::kDot;
};

// The points of each series, later ones on top; dots are half transparent. RGB. Points out of range
// are not drawn. Throws Error as PlotAxes does.
cv::Mat draw_scatter(const std::vector<ScatterSeries>& series, const PlotOptions& options);

}  // namespace ssdq
