#pragma once

#include <cstdint>
#include <vector>

#include "ssdq/data/dataset.h"
#include "ssdq/structures/size.h"

namespace ssdq {

struct ObjectBoxes {
  std::vector<Box> boxes;  // pixels of the network's input
  int64_t left_out = 0;    // boxes without area inside their image
};

// All boxes of a data set as a network of this input size sees them: clipped to their image, which
// is then resized without keeping its aspect. Reads the header of images whose size the annotation
// does not say; throws Error for one that cannot be read.
ObjectBoxes object_boxes(const Dataset& dataset, Size2 input_size);

}  // namespace ssdq
