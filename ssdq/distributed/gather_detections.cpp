#include "ssdq/distributed/gather_detections.h"

#include <algorithm>
#include <iterator>

namespace ssdq {

std::vector<IndexedDetections> gather_detections(ProcessGroup& group,
                                                 const std::vector<IndexedDetections>& own,
                                                 int64_t size) {
  const auto bytes = group.all_gather(to_bytes(own));
  std::vector<std::vector<IndexedDetections>> parts;
  std::transform(bytes.begin(), bytes.end(), std::back_inserter(parts), detections_from_bytes);
  return merge_detections(parts, size);
}

}  // namespace ssdq
