#pragma once

namespace ssdq {

struct Size2 {
  int height = 0;
  int width = 0;
};

inline bool operator==(Size2 a, Size2 b) { return a.height == b.height && a.width == b.width; }
inline bool operator!=(Size2 a, Size2 b) { return !(a == b); }

}  // namespace ssdq
