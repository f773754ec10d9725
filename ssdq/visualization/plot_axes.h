#pragma once

#include <string>
#include <vector>

#include <opencv2/core.hpp>

namespace ssdq {

struct PlotRange {
  double low = 0, high = 1;
};

struct PlotOptions {
  cv::Size size{900, 720};  // pixels of the whole picture
  std::string title, x_label, y_label;
  PlotRange x, y;
  int header = 0;  // pixels left free between the title and the axes, for a legend
};

// The range with a `share` of its width as room on both sides; around a single value if it has no
// width.
PlotRange with_room(PlotRange range, double share = 0.03);

// Round numbers that divide the range into about `count` parts, inside it, rising.
std::vector<double> round_ticks(PlotRange range, int count);

// The number of each tick, with as many digits as tell them apart.
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

// An empty plot: white ground, title, axes with round numbers, grid. RGB.
class PlotAxes {
 public:
  // Throws Error when a range is empty or not finite, or the picture is too small for axes.
  explicit PlotAxes(PlotOptions options);

  // Pixel of a point; outside of inside() for points out of range.
  cv::Point2d pixel(double x, double y) const;
  const cv::Rect& inside() const { return inside_; }

  cv::Mat& image() { return image_; }
  // What is drawn on this shows inside the axes only. Pixels relative to inside().
  cv::Mat canvas() { return image_(inside_); }

  // A line of the legend in the upper right corner, below the earlier ones.
  void add_legend(const std::string& text, const cv::Scalar& color);

 private:
  void draw_axes();

  PlotOptions options_;
  cv::Rect inside_;
  cv::Mat image_;
  int legend_lines_ = 0;
};

}  // namespace ssdq
