#pragma once

#include <algorithm>

namespace ssdq {

// Axis-aligned box, corners (x1, y1) top left and (x2, y2) bottom right, continuous pixel
// coordinates with the origin at the image's top left corner (the first pixel spans 0..1),
// unless a name says `_norm` (then fractions of width and height).
struct Box {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;

  float width() const { return x2 - x1; }
  float height() const { return y2 - y1; }
  float area() const { return std::max(0.0F, width()) * std::max(0.0F, height()); }
};

inline bool operator==(const Box& a, const Box& b) {
  return a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2;
}

inline float intersection(const Box& a, const Box& b) {
  return Box{std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)}
      .area();
}

// Intersection over union in [0, 1]; 0 when both boxes are empty.
inline float iou(const Box& a, const Box& b) {
  const float common = intersection(a, b);
  const float both = a.area() + b.area() - common;
  return both > 0 ? common / both : 0.0F;
}

}  // namespace ssdq
