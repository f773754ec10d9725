#include "ssdq/visualization/plot_axes.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"
#include "ssdq/visualization/plot_text.h"

namespace ssdq {
namespace {

constexpr int kLeft = 82, kRight = 24, kTop = 64, kBottom = 62;
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

void check_range(const char* name, const PlotRange& range) {
  SSDQ_CHECK(std::isfinite(range.low) && std::isfinite(range.high) && range.low < range.high,
             "plot: the {} axis goes from {} to {}; expected finite, rising numbers", name,
             range.low, range.high);
}

}  // namespace

std::vector<double> round_ticks(PlotRange range, int count) {
  const double raw = (range.high - range.low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double nice : {1.0, 2.0, 5.0}) {
    if (nice * power >= raw * 0.999) {
      step = nice * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::ceil(range.low / step - 1e-9);
  for (double i = first; i * step <= range.high + 1e-9 * step; i += 1) {
    ticks.push_back(i == 0 ? 0 : i * step);
  }
  return ticks;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  int digits = 6;
  if (ticks.size() > 1) {
    const double largest = std::max(std::fabs(ticks.front()), std::fabs(ticks.back()));
    const double steps = largest / (ticks[1] - ticks[0]);
    digits = std::max(digits, static_cast<int>(std::ceil(std::log10(steps))) + 1);
  }
  std::vector<std::string> labels;
  for (const double tick : ticks) {
    labels.push_back(fmt::format("{:.{}g}", tick, std::min(digits, 15)));
  }
  return labels;
}

PlotRange with_room(PlotRange range, double share) {
  const double width = range.high - range.low;
  const double largest = std::max(std::fabs(range.low), std::fabs(range.high));
  const double room = width > 1e-9 * largest ? share * width : 0.1 * largest + 1e-3;
  return {range.low - room, range.high + room};
}

PlotAxes::PlotAxes(PlotOptions options) : options_(std::move(options)) {
  check_range("x", options_.x);
  check_range("y", options_.y);
  const cv::Size size = options_.size;
  const int least = 200 + options_.header;
  SSDQ_CHECK(size.width >= 200 && size.height >= least,
             "plot: {} x {} pixels; expected at least 200 x {}", size.width, size.height, least);
  const int top = kTop + options_.header;
  inside_ = {kLeft, top, size.width - kLeft - kRight, size.height - top - kBottom};
  image_ = cv::Mat(size, CV_8UC3, cv::Scalar::all(255));
  draw_axes();
}

cv::Point2d PlotAxes::pixel(double x, double y) const {
  const double across = (x - options_.x.low) / (options_.x.high - options_.x.low);
  const double up = (y - options_.y.low) / (options_.y.high - options_.y.low);
  return {inside_.x + across * (inside_.width - 1), inside_.y + (1 - up) * (inside_.height - 1)};
}

void PlotAxes::draw_axes() {
  const cv::Point low(inside_.x, inside_.br().y - 1), high(inside_.br().x - 1, inside_.y);
  const std::vector<double> across = round_ticks(options_.x, inside_.width / 90);
  const std::vector<double> up = round_ticks(options_.y, inside_.height / 60);
  const std::vector<std::string> x_labels = tick_labels(across), y_labels = tick_labels(up);
  for (std::size_t i = 0; i < across.size(); ++i) {
    const int x = static_cast<int>(std::lround(pixel(across[i], 0).x));
    cv::line(image_, {x, low.y}, {x, high.y}, kPlotGrid);
    draw_text(image_, x_labels[i], {x, low.y + 16}, 0.42, TextSide::kCenter);
  }
  for (std::size_t i = 0; i < up.size(); ++i) {
    const int y = static_cast<int>(std::lround(pixel(0, up[i]).y));
    cv::line(image_, {low.x, y}, {high.x, y}, kPlotGrid);
    draw_text(image_, y_labels[i], {low.x - 8, y}, 0.42, TextSide::kRight);
  }
  cv::rectangle(image_, inside_, kPlotInk);
  const cv::Size size = options_.size;
  draw_text(image_, fitted_text(options_.title, 0.6, size.width - 16), {size.width / 2, 24}, 0.6,
            TextSide::kCenter);
  draw_text(image_, options_.x_label, {inside_.x + inside_.width / 2, size.height - 16}, 0.5,
            TextSide::kCenter);
  if (!options_.y_label.empty()) {
    cv::putText(image_, options_.y_label, {8, inside_.y - 12}, kFont, 0.5, kPlotInk, 1,
                cv::LINE_AA);
  }
}

void PlotAxes::add_legend(const std::string& text, const cv::Scalar& color) {
  constexpr double kScale = 0.45;
  int baseline = 0;
  const cv::Size size = cv::getTextSize(text, kFont, kScale, 1, &baseline);
  const int y = inside_.y + 18 + 20 * legend_lines_++;
  const int x = inside_.br().x - size.width - 12;
  const cv::Rect ground(x - 22, y - 13, size.width + 28, 20);
  cv::rectangle(image_, ground & cv::Rect({0, 0}, image_.size()), {255, 255, 255}, cv::FILLED);
  cv::rectangle(image_, {x - 18, y - 9, 12, 10}, color, cv::FILLED);
  cv::putText(image_, text, {x, y}, kFont, kScale, kPlotInk, 1, cv::LINE_AA);
}

}  // namespace ssdq
