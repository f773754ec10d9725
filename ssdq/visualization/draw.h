#pragma once

#include <string>
#include <vector>

#include <opencv2/core.hpp>

#include "ssdq/structures/detection.h"
#include "ssdq/structures/object.h"

namespace ssdq {

struct DrawOptions {
  float score_threshold = 0.5F;  // detections below are left out
  bool labels = true;            // class and score beside the box
  double scale = 1;              // times the line width and text size that suit the image
};

// The colour (R, G, B) of label 1, 2, ...: neighbours differ clearly, any two of the first 80
// differ.
cv::Scalar class_color(int label);

// The width in pixels of box lines in an image of this size.
int line_width(cv::Size image, const DrawOptions& options);

// A copy of `rgb` (8-bit, 3 channels) with a box in the colour of its class around each detection,
// the most certain on top, and a label placed inside the image where it hides the fewest others.
// class_names[i] names label i + 1. The box line lies just inside the pixels the box covers.
// `truth` is drawn with thin dashed lines. Throws Error for another kind of image.
cv::Mat draw_detections(const cv::Mat& rgb, const Detections& detections,
                        const std::vector<std::string>& class_names,
                        const DrawOptions& options = {}, const std::vector<Object>& truth = {});

// The images (8-bit, 3 channels) in rows of `columns`, on a grey ground `width` pixels wide. Images
// are scaled to the width of a column; a row is as high as its highest image. Throws Error if there
// is no image or no room.
cv::Mat montage(const std::vector<cv::Mat>& images, int columns, int width);

}  // namespace ssdq
