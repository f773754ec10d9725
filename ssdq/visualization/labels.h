#pragma once

#include <optional>
#include <string>
#include <vector>

#include <opencv2/core.hpp>

namespace ssdq {

// Puts labels into one image: each near its box, inside the image, where it hides the fewest
// others.
class LabelPainter {
 public:
  // `text_height` is that of a capital letter in pixels. The image is painted on.
  LabelPainter(cv::Mat& image, int text_height);

  // Paints `text` on a ground of `color`, beside `box` (pixels). Returns the ground painted,
  // nothing when the image is too small for readable text.
  std::optional<cv::Rect> paint(const std::string& text, const cv::Rect& box,
                                const cv::Scalar& color);

 private:
  cv::Rect place(const cv::Size& label, const cv::Rect& box) const;

  cv::Mat& image_;
  int text_height_;
  std::vector<cv::Rect> taken_;
};

}  // namespace ssdq
