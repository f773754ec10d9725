#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/structures/detection.h"

namespace ssdq {

// What was found in one image of a data set.
struct IndexedDetections {
  int64_t index = 0;  // of the image
  Detections detections;
};

// As bytes for another process of the same run, bit by bit, and back. Throws Error for bytes that
// to_bytes() did not make.
std::string to_bytes(const std::vector<IndexedDetections>& images);
std::vector<IndexedDetections> detections_from_bytes(const std::string& bytes);

// Puts the ranks' parts of a data set of `size` images together, by rising index. Throws Error
// unless every image is there exactly once.
std::vector<IndexedDetections> merge_detections(
    const std::vector<std::vector<IndexedDetections>>& parts, int64_t size);

}  // namespace ssdq
