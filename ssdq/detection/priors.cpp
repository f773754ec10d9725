#include "ssdq/detection/priors.h"

#include <algorithm>
#include <cmath>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

struct Shape {
  double width_px, height_px;
};

void check_positive(const char* key, size_t level, double value) {
  SSDQ_CHECK_CONFIG(value > 0 && std::isfinite(value),
                    "MODEL.PRIORS.{}: level {} has {}; expected a number above 0", key, level,
                    value);
}

// Pixels between the boxes of a level.
double step_of(const PriorsConfig& priors, size_t level, int image_side, int map_side) {
  const int stride = priors.strides[level];
  return stride == 0 ? static_cast<double>(image_side) / map_side : stride;
}

void check_levels(const PriorsConfig& priors) {
  const size_t levels = priors.min_sizes.size();
  SSDQ_CHECK_CONFIG(priors.aspect_ratios.size() == levels &&
                        (priors.max_sizes.size() == levels || priors.max_sizes.empty()),
                    "MODEL.PRIORS: MIN_SIZES has {} levels, MAX_SIZES {} and ASPECT_RATIOS {}; "
                    "expected the same number "
                    "in each (MAX_SIZES may be empty)",
                    levels, priors.max_sizes.size(), priors.aspect_ratios.size());
  for (size_t k = 0; k < levels; ++k) {
    SSDQ_CHECK_CONFIG(!priors.min_sizes[k].empty(),
                      "MODEL.PRIORS.MIN_SIZES: level {} is empty; expected a size in pixels", k);
    for (const double size : priors.min_sizes[k]) {
      check_positive("MIN_SIZES", k, size);
    }
    for (const double ratio : priors.aspect_ratios[k]) {
      check_positive("ASPECT_RATIOS", k, ratio);
    }
    if (has_max_size(priors, k)) {
      check_positive("MAX_SIZES", k, priors.max_sizes[k]);
    }
  }
}

std::vector<Shape> shapes_of_level(const PriorsConfig& priors, size_t level) {
  std::vector<Shape> shapes;
  for (const double size : priors.min_sizes[level]) {
    shapes.push_back({size, size});
    if (has_max_size(priors, level)) {
      const double between = std::sqrt(size * priors.max_sizes[level]);
      shapes.push_back({between, between});
    }
    for (const double ratio : priors.aspect_ratios[level]) {
      const double root = std::sqrt(ratio);
      shapes.push_back({size * root, size / root});
      shapes.push_back({size / root, size * root});
    }
  }
  return shapes;
}

float bounded(double value, bool clip) {
  return static_cast<float>(clip ? std::clamp(value, 0.0, 1.0) : value);
}

}  // namespace

bool has_max_size(const PriorsConfig& priors, size_t level) {
  return !priors.max_sizes.empty() && priors.max_sizes[level] != 0;
}

std::vector<int> boxes_per_location(const PriorsConfig& priors) {
  check_levels(priors);
  std::vector<int> counts;
  for (size_t k = 0; k < priors.min_sizes.size(); ++k) {
    const size_t per_size =
        1 + (has_max_size(priors, k) ? 1 : 0) + 2 * priors.aspect_ratios[k].size();
    counts.push_back(static_cast<int>(per_size * priors.min_sizes[k].size()));
  }
  return counts;
}

std::vector<CenterBox> make_priors(const PriorsConfig& priors, const std::vector<Size2>& maps,
                                   Size2 image_size) {
  check_levels(priors);
  const size_t levels = priors.min_sizes.size();
  SSDQ_CHECK_CONFIG(maps.size() == levels && priors.strides.size() == levels,
                    "MODEL.PRIORS: MIN_SIZES has {} levels and STRIDES {}, but the network has {} "
                    "feature maps; expected "
                    "the same number",
                    levels, priors.strides.size(), maps.size());
  SSDQ_CHECK_CONFIG(image_size.width > 0 && image_size.height > 0,
                    "INPUT.IMAGE_SIZE is {} x {}; expected a positive height and width",
                    image_size.height, image_size.width);
  std::vector<CenterBox> boxes;
  for (size_t k = 0; k < levels; ++k) {
    SSDQ_CHECK_CONFIG(
        priors.strides[k] >= 0,
        "MODEL.PRIORS.STRIDES: level {} has {}; expected a number of pixels, or 0 for "
        "the image's side divided by the map's",
        k, priors.strides[k]);
    const double step_y = step_of(priors, k, image_size.height, maps[k].height);
    const double step_x = step_of(priors, k, image_size.width, maps[k].width);
    const std::vector<Shape> shapes = shapes_of_level(priors, k);
    for (int row = 0; row < maps[k].height; ++row) {
      for (int column = 0; column < maps[k].width; ++column) {
        const double cx = (column + 0.5) * step_x / image_size.width;
        const double cy = (row + 0.5) * step_y / image_size.height;
        for (const Shape& shape : shapes) {
          boxes.push_back({bounded(cx, priors.clip), bounded(cy, priors.clip),
                           bounded(shape.width_px / image_size.width, priors.clip),
                           bounded(shape.height_px / image_size.height, priors.clip)});
        }
      }
    }
  }
  return boxes;
}

}  // namespace ssdq
