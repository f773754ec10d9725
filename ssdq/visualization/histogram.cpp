#include "ssdq/visualization/histogram.h"

#include <algorithm>
#include <cmath>

#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr std::size_t kMostLevels = 64;
const cv::Scalar kBars(90, 130, 190);
const cv::Scalar kRange(200, 50, 40);
const cv::Scalar kShade(250, 232, 228);

// What the picture shows: what was asked for, or all values and the whole range, with a little
// room.
PlotRange shown(const std::vector<float>& values, const std::optional<PlotRange>& quantized,
                const std::optional<PlotRange>& asked) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  SSDQ_CHECK(
      std::isfinite(*least) && std::isfinite(*most) &&
          std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }),
      "histogram: a value is not finite");
  if (asked) return *asked;
  PlotRange range{*least, *most};
  if (quantized) {
    range.low = std::min(range.low, quantized->low);
    range.high = std::max(range.high, quantized->high);
  }
  return with_room(range);
}

int column(const PlotAxes& axes, double x) {
  return static_cast<int>(std::lround(axes.pixel(x, 0).x)) - axes.inside().x;
}

void shade_outside(PlotAxes& axes, const PlotRange& quantized) {
  cv::Mat canvas = axes.canvas();
  const int low = column(axes, quantized.low), high = column(axes, quantized.high);
  const int bottom = canvas.rows - 2;
  cv::rectangle(canvas, cv::Point(1, 1), cv::Point(std::max(1, low - 1), bottom), kShade,
                cv::FILLED);
  cv::rectangle(canvas, cv::Point(std::min(canvas.cols - 2, high + 1), 1),
                cv::Point(canvas.cols - 2, bottom), kShade, cv::FILLED);
}

void draw_bars(PlotAxes& axes, const std::vector<double>& counts, const PlotRange& x) {
  cv::Mat canvas = axes.canvas();
  const double width = (x.high - x.low) / static_cast<double>(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] <= 0) continue;
    const int left = column(axes, x.low + width * static_cast<double>(i));
    const int right = column(axes, x.low + width * static_cast<double>(i + 1));
    const double top = axes.pixel(0, counts[i]).y - axes.inside().y;
    const int y = std::min(canvas.rows - 2, static_cast<int>(std::lround(top)));
    cv::rectangle(canvas, cv::Point(left, y), cv::Point(std::max(left, right - 1), canvas.rows - 2),
                  kBars, cv::FILLED);
  }
}

void draw_line(PlotAxes& axes, double value) {
  cv::Mat canvas = axes.canvas();
  const int at = column(axes, value);
  cv::line(canvas, {at, 1}, {at, canvas.rows - 2}, kRange, 2);
}

void draw_levels(PlotAxes& axes, const std::vector<float>& levels) {
  if (levels.size() > kMostLevels) return;
  const int bottom = axes.inside().br().y;
  for (const float level : levels) {
    const int x = axes.inside().x + column(axes, level);
    cv::line(axes.image(), {x, bottom}, {x, bottom + 6}, kRange, 1);
  }
}

}  // namespace

std::vector<int64_t> count_bins(const std::vector<float>& values, PlotRange range, int bins) {
  SSDQ_CHECK(range.low < range.high && bins >= 1,
             "histogram: {} bins from {} to {}; expected a range and at least one bin", bins,
             range.low, range.high);
  std::vector<int64_t> counts(static_cast<std::size_t>(bins), 0);
  for (const float value : values) {
    if (!(value >= range.low && value <= range.high)) continue;
    const double share = (value - range.low) / (range.high - range.low);
    ++counts[static_cast<std::size_t>(std::min(bins - 1, static_cast<int>(share * bins)))];
  }
  return counts;
}

cv::Mat draw_histogram(const std::vector<float>& values, const std::optional<PlotRange>& quantized,
                       const std::vector<float>& levels, const HistogramOptions& options) {
  SSDQ_CHECK(!values.empty(), "histogram: there are no values");
  const PlotRange x = shown(values, quantized, options.range);
  std::vector<double> heights;
  for (const int64_t count : count_bins(values, x, options.bins)) {
    const auto height = static_cast<double>(count);
    heights.push_back(options.logarithmic ? std::log10(1 + height) : height);
  }
  const double most = std::max(1e-3, *std::max_element(heights.begin(), heights.end()));
  PlotOptions plot;
  plot.size = options.size;
  plot.title = options.title;
  plot.x_label = options.x_label;
  plot.y_label = options.logarithmic ? "log10(1 + values)" : "values";
  plot.x = x;
  plot.y = {0, 1.08 * most};
  PlotAxes axes(plot);
  if (quantized) shade_outside(axes, *quantized);
  draw_bars(axes, heights, x);
  if (options.legend) axes.add_legend(fmt::format("{} values", values.size()), kBars);
  if (quantized) {
    draw_line(axes, quantized->low);
    draw_line(axes, quantized->high);
    draw_levels(axes, levels);
    if (options.legend) {
      axes.add_legend(fmt::format("codes from {:.4g} to {:.4g}", quantized->low, quantized->high),
                      kRange);
    }
  }
  if (options.line) draw_line(axes, *options.line);
  return axes.image();
}

}  // namespace ssdq
