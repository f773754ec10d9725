#pragma once

#include <array>

#include <opencv2/core.hpp>

#include "ssdq/data/random.h"

namespace ssdq {

// One draw of SSD's photometric distortion (Liu et al.; lufficc/SSD's order): brightness, then contrast either before or
// after saturation and hue, then a permutation of the channels.
struct Photometric {
  float brightness = 0;  // added, grey levels in [-32, 32]
  float contrast = 1;    // factor in [.5, 1.5]
  bool contrast_first = true;
  float saturation = 1;  // factor in [.5, 1.5]
  float hue = 0;         // degrees in [-18, 18]
  std::array<int, 3> channels{0, 1, 2};

  bool changes_color() const { return saturation != 1 || hue != 0; }
};

Photometric draw_photometric(Random& random);

// Distorts an 8-bit RGB image and normalises it: out = (distorted - mean) / std, float, same size, into `out` (CV_32FC3,
// already of that size, possibly part of a larger matrix). Arithmetic is in float without clamping in between, one pass over the pixels.
void distort_and_normalize(const cv::Mat& rgb, const Photometric& photometric, const std::array<float, 3>& mean,
                           const std::array<float, 3>& std, cv::Mat& out);

}  // namespace ssdq
