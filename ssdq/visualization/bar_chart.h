#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

namespace ssdq {

// What is left of something counted, such as the channels of a layer.
struct Bar {
  std::string name;
  std::int64_t kept = 0, total = 0;
};

struct BarChartOptions {
  std::string title;
  std::string unit = "channels";  // what is counted
  int width = 960;                // pixels; the height follows from the number of bars
};

extern const cv::Scalar kBarKept, kBarRemoved;  // R, G, B

// Where things are in the picture: below each other a row for each bar, from left to right its
// name, the bar and its numbers.
struct BarChartLayout {
  cv::Size size;
  cv::Rect names, bars, numbers;  // the columns, as high as all rows
  std::vector<cv::Rect> totals;   // each the whole bar
  std::vector<int> kept;          // pixels of its width that are filled
};

// Throws Error without bars, when one does not hold 0 <= kept <= total and 1 <= total, or when the
// width is below 400.
BarChartLayout bar_chart_layout(const std::vector<Bar>& bars, const BarChartOptions& options);

// Horizontal bars in the order given, as long as their total, the kept part filled, with
// "kept/total" and the share kept. RGB. Throws Error as bar_chart_layout() does.
cv::Mat draw_bar_chart(const std::vector<Bar>& bars, const BarChartOptions& options);

}  // namespace ssdq
