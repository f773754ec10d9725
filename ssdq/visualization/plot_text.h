#pragma once

#include <string>
#include <vector>

#include <opencv2/core.hpp>

namespace ssdq {

const cv::Scalar kPlotInk(40, 40, 40);
const cv::Scalar kPlotGrid(228, 228, 228);

enum class TextSide { kLeft, kCenter, kRight };

// Width of the text in pixels; `scale` as OpenCV has it (0.42: capitals of 9 pixels).
int text_width(const std::string& text, double scale);

// The text, or its start and end with ".." between when it is wider than `width` pixels.
std::string fitted_text(const std::string& text, double scale, int width);

// Writes the text with `side` of it at `at`, half its height above and half below.
void draw_text(cv::Mat& image, const std::string& text, const cv::Point& at, double scale,
               TextSide side);

// Height in pixels of a legend whose entries follow each other in lines at most `width` wide.
int legend_height(const std::vector<std::string>& entries, int width);

// Writes the entries from the upper left corner of `area` on, as many lines as its width asks for.
// Returns the box before each, for its key.
std::vector<cv::Rect> draw_legend(cv::Mat& image, const std::vector<std::string>& entries,
                                  const cv::Rect& area);

}  // namespace ssdq
