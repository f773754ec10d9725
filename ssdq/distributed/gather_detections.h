#pragma once

#include <vector>

#include "ssdq/distributed/process_group.h"
#include "ssdq/evaluation/detection_bytes.h"

namespace ssdq {

// The detections of a data set of `size` images, by rising index, on every rank, from the images
// that each rank has evaluated. Throws Error unless every image is there exactly once.
std::vector<IndexedDetections> gather_detections(ProcessGroup& group,
                                                 const std::vector<IndexedDetections>& own,
                                                 int64_t size);

}  // namespace ssdq
