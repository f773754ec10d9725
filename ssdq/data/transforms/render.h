#pragma once

#include <array>

#include <opencv2/core.hpp>

#include "ssdq/data/transforms/geometry.h"
#include "ssdq/data/transforms/photometric.h"

namespace ssdq {

struct Normalisation {
  std::array<float, 3> mean{123, 117, 104};  // RGB, 0..255
  std::array<float, 3> std{1, 1, 1};
};

// Writes `view` of an image resized to `size`, distorted and normalised, as [H, W, 3] floats.
// `image` is 8-bit RGB, `full` the image's size before a reduced-size decode. Expand, crop, mirror
// and resize are one bilinear sampling; output pixels whose centre lies outside the image are the
// mean. Distortion follows the resize instead of coming first: the same but for HSV's part, which
// is not linear.
void render_view(const cv::Mat& image, Size2 full, const View& view, const Photometric& how,
                 const Normalisation& normalisation, Size2 size, float* out);

// The transform of evaluation: cv::resize with INTER_LINEAR, then (value - mean) / std, [H, W, 3].
void render_whole(const cv::Mat& image, const Normalisation& normalisation, Size2 size, float* out);

}  // namespace ssdq
