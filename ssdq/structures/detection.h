#pragma once

#include <vector>

#include "ssdq/structures/box.h"

namespace ssdq {

// One detected object. `label` is 1..C as in Object; `score` is a probability in [0, 1].
struct Detection {
  Box box;  // pixels of the original image
  float score = 0;
  int label = 0;
};

using Detections = std::vector<Detection>;  // of one image, by falling score

}  // namespace ssdq
