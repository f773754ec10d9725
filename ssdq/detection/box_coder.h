#pragma once

#include <array>
#include <cmath>

#include "ssdq/detection/priors.h"
#include "ssdq/structures/box.h"

namespace ssdq {

// Scales of the regression targets: a network output of 1 moves a centre by `center` prior widths
// (or heights) and multiplies a size by e^size.
struct BoxVariances {
  float center = 0.1F;
  float size = 0.2F;
};

inline Box to_corners(const CenterBox& box) {
  return {box.cx - box.w / 2, box.cy - box.h / 2, box.cx + box.w / 2, box.cy + box.h / 2};
}

inline CenterBox to_center(const Box& box) {
  return {(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.width(), box.height()};
}

// (dx, dy, dw, dh) that decode() turns back into `box` (Liu et al., ECCV 2016, equation 2). Both
// boxes in fractions of the image, with positive width and height.
inline std::array<float, 4> encode(const CenterBox& box, const CenterBox& prior,
                                   BoxVariances variances) {
  return {(box.cx - prior.cx) / prior.w / variances.center,
          (box.cy - prior.cy) / prior.h / variances.center,
          std::log(box.w / prior.w) / variances.size, std::log(box.h / prior.h) / variances.size};
}

// Box in fractions of the image, not clipped, for the network output `location`, four floats.
inline CenterBox decode(const float* location, const CenterBox& prior, BoxVariances variances) {
  return {prior.cx + location[0] * variances.center * prior.w,
          prior.cy + location[1] * variances.center * prior.h,
          prior.w * std::exp(location[2] * variances.size),
          prior.h * std::exp(location[3] * variances.size)};
}

}  // namespace ssdq
