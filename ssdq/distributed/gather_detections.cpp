#include "ssdq/distributed/gather_detections.h"

#include <algorithm>
#include <iterator>

namespace ssdq {

std::vector<ImageDetections> gather_detections(ProcessGroup& group,
                                               const std::vector<ImageDetections>& own,
                                               int64_t size) {
  const auto bytes = group.all_gather(to_bytes(own));
  std::vector<std::vector<ImageDetections>> parts;
  std::transform(bytes.begin(), bytes.end(), std::back_inserter(parts), detections_from_bytes);
  return merge_detections(parts, size);
}

}  // namespace ssdq
