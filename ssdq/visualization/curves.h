#pragma once

#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/visualization/plot_axes.h"

namespace ssdq {

struct Curve {
  std::string name;  // in the legend
  std::vector<cv::Point2d> points;
};

struct CurvesOptions {
  std::string title, x_label, y_label;
  cv::Size size{900, 600};  // pixels
};

constexpr std::size_t kMostCurves = 7;

// The color of the curve at this place, R, G, B; told apart by the colorblind too. Below
// kMostCurves.
cv::Scalar curve_color(std::size_t index);

// The axes of draw_curves(): all points, a little room around and the height of the legend. Throws
// Error when there is no point, one is not finite, or for more than kMostCurves curves.
PlotOptions curve_axes(const std::vector<Curve>& curves, const CurvesOptions& options);

// The points of each curve, joined from left to right in whatever order they come, and marked;
// among the first four, markers of equal curves following each other are both seen. A curve without
// points is left out, its color too. RGB. Throws Error as curve_axes() and PlotAxes do.
cv::Mat draw_curves(const std::vector<Curve>& curves, const CurvesOptions& options);

}  // namespace ssdq
