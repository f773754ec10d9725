#include "ssdq/visualization/plot_axes.h"

#include <cmath>
#include <utility>

#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr int kLeft = 82, kRight = 24, kTop = 64, kBottom = 62;
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
const cv::Scalar kInk(40, 40, 40);
const cv::Scalar kGrid(228, 228, 228);

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

PlotAxes::PlotAxes(PlotOptions options) : options_(std::move(options)) {
  check_range("x", options_.x);
  check_range("y", options_.y);
  const cv::Size size = options_.size;
  SSDQ_CHECK(size.width >= 200 && size.height >= 200,
             "plot: {} x {} pixels; expected at least 200 x 200", size.width, size.height);
  inside_ = {kLeft, kTop, size.width - kLeft - kRight, size.height - kTop - kBottom};
  image_ = cv::Mat(size, CV_8UC3, cv::Scalar::all(255));
  draw_axes();
}

cv::Point2d PlotAxes::pixel(double x, double y) const {
  const double across = (x - options_.x.low) / (options_.x.high - options_.x.low);
  const double up = (y - options_.y.low) / (options_.y.high - options_.y.low);
  return {inside_.x + across * (inside_.width - 1), inside_.y + (1 - up) * (inside_.height - 1)};
}

void PlotAxes::text(const std::string& text, const cv::Point& center, double scale) {
  int baseline = 0;
  const cv::Size size = cv::getTextSize(text, kFont, scale, 1, &baseline);
  cv::putText(image_, text, {center.x - size.width / 2, center.y + size.height / 2}, kFont, scale,
              kInk, 1, cv::LINE_AA);
}

void PlotAxes::draw_axes() {
  const cv::Point low(inside_.x, inside_.br().y - 1), high(inside_.br().x - 1, inside_.y);
  for (const double tick : round_ticks(options_.x, inside_.width / 90)) {
    const int x = static_cast<int>(std::lround(pixel(tick, 0).x));
    cv::line(image_, {x, low.y}, {x, high.y}, kGrid);
    text(fmt::format("{:.6g}", tick), {x, low.y + 16}, 0.42);
  }
  for (const double tick : round_ticks(options_.y, inside_.height / 60)) {
    const int y = static_cast<int>(std::lround(pixel(0, tick).y));
    cv::line(image_, {low.x, y}, {high.x, y}, kGrid);
    text(fmt::format("{:.6g}", tick), {low.x - 30, y}, 0.42);
  }
  cv::rectangle(image_, inside_, kInk);
  text(options_.title, {options_.size.width / 2, 24}, 0.6);
  text(options_.x_label, {inside_.x + inside_.width / 2, options_.size.height - 16}, 0.5);
  if (!options_.y_label.empty()) {
    cv::putText(image_, options_.y_label, {8, kTop - 12}, kFont, 0.5, kInk, 1, cv::LINE_AA);
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
  cv::putText(image_, text, {x, y}, kFont, kScale, kInk, 1, cv::LINE_AA);
}

}  // namespace ssdq
