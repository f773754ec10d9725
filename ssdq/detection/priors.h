#pragma once

#include <cstddef>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// Centre-form box in fractions of the image: cx, w by width; cy, h by height.
struct CenterBox {
  float cx = 0, cy = 0, w = 0, h = 0;
};

// Default boxes of all levels, location-major (row, column, shape) as the heads lay out their
// outputs (Liu et al., ECCV 2016, section 2.2; shapes in the order of lufficc/SSD: (s,s), (sqrt(s
// s'), same), then (s sqrt r, s / sqrt r) and its transpose for each ratio). Several MIN_SIZES at
// one level are laid out one after another. A MAX_SIZES of 0 leaves out the second shape; a STRIDE
// of 0 spreads the boxes evenly over the image, a step of image size / map size, as Caffe's
// PriorBox and TensorFlow's detectors do. With CLIP the four centre-form numbers are clamped to [0,
// 1]. `maps` are the feature-map sizes. Throws ConfigError when list lengths disagree.
std::vector<CenterBox> make_priors(const PriorsConfig& priors, const std::vector<Size2>& maps,
                                   Size2 image_size);

// Whether the level has a box between MIN_SIZES and MAX_SIZES.
bool has_max_size(const PriorsConfig& priors, size_t level);

// Boxes at one location of each level, from MIN_SIZES, MAX_SIZES and ASPECT_RATIOS.
std::vector<int> boxes_per_location(const PriorsConfig& priors);

}  // namespace ssdq
