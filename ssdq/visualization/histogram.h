#pragma once

#include <optional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/visualization/plot_axes.h"

namespace ssdq {

// Values in bins of equal width over [range.low, range.high], a count for each; the last bin holds
// its upper edge too. Values outside are not counted. Throws Error when the range is empty.
std::vector<int64_t> count_bins(const std::vector<float>& values, PlotRange range, int bins);

struct HistogramOptions {
  std::string title, x_label;
  cv::Size size{900, 540};  // pixels
  int bins = 120;
  bool logarithmic = false;        // the axis of counts shows log10(1 + count)
  std::optional<PlotRange> range;  // of the axis of values, those outside left out; else all show
  std::optional<double> line;      // a value marked with a line from top to bottom
  bool legend = true;              // the number of values and the range of codes
};

// A histogram of `values` with the range of their quantizer drawn in: the outside shaded, its ends
// as lines, and below the axis a tick for each value that codes stand for (`levels`, at most 64 are
// drawn). RGB. Throws Error without values, or when one is not finite.
cv::Mat draw_histogram(const std::vector<float>& values, const std::optional<PlotRange>& quantized,
                       const std::vector<float>& levels, const HistogramOptions& options);

}  // namespace ssdq
