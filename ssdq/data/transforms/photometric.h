#pragma once

#include <array>

#include "ssdq/data/transforms/random.h"

namespace ssdq {

// SSD's photometric distortion of one image (Liu et al., ECCV 2016, section 2.2), drawn beforehand:
// (x + offset) * gain_before, then saturation and hue in HSV, then * gain_after, then the channels
// permuted. Values are 0..255 in float and are not clipped, as in lufficc/SSD.
struct Photometric {
  float offset = 0;                   // brightness, [-32, 32]
  float gain_before = 1;              // contrast, [0.5, 1.5], on brightness's result
  float saturation = 1;               // [0.5, 1.5]
  float hue = 0;                      // degrees, [-18, 18]
  float gain_after = 1;               // contrast when drawn to come last
  std::array<int, 3> order{0, 1, 2};  // output channel c shows channel order[c]
};

Photometric draw_photometric(Random& random);

// Distorts `count` pixels in planes and writes them interleaved as (value - mean) / std, RGB.
// The result is that of cv::cvtColor's float HSV within 0.01 of 255.
void distort_row(const Photometric& how, const std::array<float, 3>& mean,
                 const std::array<float, 3>& inverse_std, const std::array<float*, 3>& planes,
                 int count, float* out);

}  // namespace ssdq
