#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/structures/object.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// A collated batch in plain memory, so that the pipeline needs no LibTorch.
struct Batch {
  int64_t size = 0;             // images N
  Size2 image_size;
  std::vector<float> images;    // [N, H, W, 3] RGB, (value - mean) / std
  int64_t num_priors = 0;       // P; 0 when testing
  std::vector<int64_t> labels;  // [N, P], 0 = background
  std::vector<float> locations; // [N, P, 4] encoded boxes
  std::vector<int64_t> indices; // [N] into the data set
  std::vector<std::string> image_ids;  // [N]
  std::vector<Size2> original_sizes;   // [N] px
};

}  // namespace ssdq
