#include "ssdq/visualization/labels.h"

#include <algorithm>
#include <array>

#include <opencv2/imgproc.hpp>

namespace ssdq {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr int kLeastTextHeight = 5;  // pixels; below, letters run together

int text_thickness(int text_height) { return std::max(1, text_height / 9); }

cv::Scalar readable_on(const cv::Scalar& color) {
  const double luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2];
  return luminance > 140 ? cv::Scalar(0, 0, 0) : cv::Scalar(255, 255, 255);
}

}  // namespace

LabelPainter::LabelPainter(cv::Mat& image, int text_height)
    : image_(image), text_height_(text_height) {}

// Candidates in order of preference: above the box, inside at its top, below, inside at its bottom,
// each flush left and flush right.
cv::Rect LabelPainter::place(const cv::Size& label, const cv::Rect& box) const {
  const cv::Point bottom_right = box.br();
  const std::array<int, 4> tops = {box.y - label.height, box.y, bottom_right.y,
                                   bottom_right.y - label.height};
  const std::array<int, 2> lefts = {box.x, bottom_right.x - label.width};
  cv::Rect best;
  int least = -1;
  for (size_t i = 0; i < tops.size() * lefts.size(); ++i) {
    const int top = tops[i / lefts.size()];
    cv::Rect candidate(cv::Point(lefts[i % lefts.size()], top), label);
    candidate.x = std::clamp(candidate.x, 0, std::max(0, image_.cols - label.width));
    candidate.y = std::clamp(candidate.y, 0, std::max(0, image_.rows - label.height));
    int hidden = candidate.y == top ? 0 : label.area() / 4;
    for (const cv::Rect& other : taken_) {
      hidden += (candidate & other).area();
    }
    if (least < 0 || hidden < least) {
      least = hidden;
      best = candidate;
    }
  }
  return best;
}

std::optional<cv::Rect> LabelPainter::paint(const std::string& text, const cv::Rect& box,
                                            const cv::Scalar& color) {
  for (int height = text_height_; height >= kLeastTextHeight; --height) {
    const int thickness = text_thickness(height);
    const double scale = cv::getFontScaleFromHeight(kFont, height, thickness);
    int below = 0;
    const cv::Size size = cv::getTextSize(text, kFont, scale, thickness, &below);
    const int margin = std::max(2, height / 4);
    const cv::Size label(size.width + 2 * margin, size.height + below / 2 + 2 * margin);
    if (label.width > image_.cols || label.height > image_.rows) {
      continue;
    }
    const cv::Rect ground = place(label, box);
    cv::rectangle(image_, ground, color, cv::FILLED);
    cv::putText(image_, text, {ground.x + margin, ground.y + margin + size.height}, kFont, scale,
                readable_on(color), thickness, cv::LINE_AA);
    taken_.push_back(ground);
    return ground;
  }
  return std::nullopt;
}

}  // namespace ssdq
