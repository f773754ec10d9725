#include "ssdq/visualization/bar_chart.h"

#include <algorithm>
#include <cmath>

#include <opencv2/imgproc.hpp>

#include "ssdq/utils/error.h"
#include "ssdq/visualization/plot_axes.h"
#include "ssdq/visualization/plot_text.h"

namespace ssdq {

const cv::Scalar kBarKept(70, 115, 180), kBarRemoved(205, 216, 232);

namespace {

constexpr int kRow = 20, kThickness = 14;
constexpr int kTop = 88, kBottom = 50, kMargin = 14, kGap = 12;
constexpr double kScale = 0.42;

std::string count_text(const Bar& bar) { return fmt::format("{}/{}", bar.kept, bar.total); }

std::string share_text(const Bar& bar) {
  return fmt::format("{:.1f} %",
                     100 * static_cast<double>(bar.kept) / static_cast<double>(bar.total));
}

template <typename Text>
int widest(const std::vector<Bar>& bars, const Text& text) {
  int width = 0;
  for (const Bar& bar : bars) {
    width = std::max(width, text_width(text(bar), kScale));
  }
  return width;
}

std::int64_t largest_total(const std::vector<Bar>& bars) {
  return std::max_element(bars.begin(), bars.end(),
                          [](const Bar& a, const Bar& b) { return a.total < b.total; })
      ->total;
}

// Pixels of `count` where `most` is the whole width; something is always seen of what is there.
int length(std::int64_t count, std::int64_t most, int width) {
  const double share = static_cast<double>(count) / static_cast<double>(most);
  return count > 0 ? std::max(1, static_cast<int>(std::lround(share * width))) : 0;
}

void check(const std::vector<Bar>& bars, const BarChartOptions& options) {
  SSDQ_CHECK(!bars.empty(), "bar chart: there are no bars");
  SSDQ_CHECK(options.width >= 400, "bar chart: {} pixels wide; expected at least 400",
             options.width);
  for (const Bar& bar : bars) {
    SSDQ_CHECK(bar.total >= 1 && bar.kept >= 0 && bar.kept <= bar.total,
               "bar chart: '{}' keeps {} of {}; expected a total of at least 1 and no more kept",
               bar.name, bar.kept, bar.total);
  }
}

void draw_scale(cv::Mat& image, const BarChartLayout& layout, std::int64_t most,
                const std::string& unit) {
  const cv::Rect& area = layout.bars;
  std::vector<double> ticks = round_ticks({0, static_cast<double>(most)}, area.width / 90);
  ticks.erase(std::remove_if(ticks.begin(), ticks.end(),
                             [](double tick) { return tick != std::floor(tick); }),
              ticks.end());
  const std::vector<std::string> labels = tick_labels(ticks);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const double share = ticks[i] / static_cast<double>(most);
    const int x = area.x + static_cast<int>(std::lround(share * area.width));
    cv::line(image, {x, area.y}, {x, area.br().y - 1}, kPlotGrid);
    for (const int y : {area.y - 10, area.br().y + 10}) {
      draw_text(image, labels[i], {x, y}, kScale, TextSide::kCenter);
    }
  }
  draw_text(image, unit, {area.x + area.width / 2, area.br().y + 32}, 0.45, TextSide::kCenter);
}

void draw_row(cv::Mat& image, const BarChartLayout& layout, const Bar& bar, std::size_t row) {
  const cv::Rect& whole = layout.totals[row];
  const int middle = whole.y + whole.height / 2;
  draw_text(image, fitted_text(bar.name, kScale, layout.names.width), {layout.names.br().x, middle},
            kScale, TextSide::kRight);
  image(whole).setTo(kBarRemoved);
  image(cv::Rect(whole.x, whole.y, layout.kept[row], whole.height)).setTo(kBarKept);
}

void draw_numbers(cv::Mat& image, const BarChartLayout& layout, const std::vector<Bar>& bars) {
  const int right = layout.numbers.br().x;
  const int counts = right - kGap - widest(bars, share_text);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const int middle = layout.totals[i].y + kThickness / 2;
    draw_text(image, count_text(bars[i]), {counts, middle}, kScale, TextSide::kRight);
    draw_text(image, share_text(bars[i]), {right, middle}, kScale, TextSide::kRight);
  }
}

}  // namespace

BarChartLayout bar_chart_layout(const std::vector<Bar>& bars, const BarChartOptions& options) {
  check(bars, options);
  const int height = kRow * static_cast<int>(bars.size());
  const int names =
      std::min(widest(bars, [](const Bar& bar) { return bar.name; }), options.width / 3);
  const int numbers = widest(bars, count_text) + kGap + widest(bars, share_text);
  BarChartLayout layout;
  layout.size = {options.width, kTop + height + kBottom};
  layout.names = {kMargin, kTop, names, height};
  layout.numbers = {options.width - kMargin - numbers, kTop, numbers, height};
  const int left = layout.names.br().x + kGap, right = layout.numbers.x - kGap;
  SSDQ_CHECK(right - left >= 50, "bar chart: {} pixels wide leave {} for the bars; make it wider",
             options.width, std::max(0, right - left));
  layout.bars = {left, kTop, right - left, height};
  const std::int64_t most = largest_total(bars);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const int y = kTop + kRow * static_cast<int>(i) + (kRow - kThickness) / 2;
    layout.totals.emplace_back(left, y, length(bars[i].total, most, layout.bars.width), kThickness);
    layout.kept.push_back(length(bars[i].kept, most, layout.bars.width));
  }
  return layout;
}

cv::Mat draw_bar_chart(const std::vector<Bar>& bars, const BarChartOptions& options) {
  const BarChartLayout layout = bar_chart_layout(bars, options);
  cv::Mat image(layout.size, CV_8UC3, cv::Scalar::all(255));
  draw_text(image, fitted_text(options.title, 0.6, layout.size.width - 2 * kMargin),
            {layout.size.width / 2, 24}, 0.6, TextSide::kCenter);
  const std::vector<std::string> entries = {options.unit + " kept", "removed"};
  const std::vector<cv::Rect> keys =
      draw_legend(image, entries, {layout.bars.x, 42, layout.size.width - layout.bars.x, 20});
  image(keys[0]).setTo(kBarKept);
  image(keys[1]).setTo(kBarRemoved);
  draw_scale(image, layout, largest_total(bars), options.unit);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    draw_row(image, layout, bars[i], i);
  }
  draw_numbers(image, layout, bars);
  return image;
}

}  // namespace ssdq
