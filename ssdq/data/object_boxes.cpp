#include "ssdq/data/object_boxes.h"

#include "ssdq/data/box_policy.h"
#include "ssdq/data/datasets/image_files.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Size2 image_size(const Record& record) {
  if (record.width > 0 && record.height > 0) return {record.height, record.width};
  const auto size = read_image_size(record.image_path);
  SSDQ_CHECK(size, "{}: its size cannot be read; expected an image", record.image_path);
  return *size;
}

}  // namespace

ObjectBoxes object_boxes(const Dataset& dataset, Size2 input_size) {
  const int num_classes = static_cast<int>(dataset.class_names().size()) + 1;
  ObjectBoxes result;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Record record = dataset.record(i);
    if (record.objects.empty()) continue;
    const Size2 size = image_size(record);
    const auto kept = sanitize(record, size, BoxPolicy::kClip, num_classes).objects;
    const float x = static_cast<float>(input_size.width) / static_cast<float>(size.width);
    const float y = static_cast<float>(input_size.height) / static_cast<float>(size.height);
    for (const Object& object : kept) {
      const Box& box = object.box;
      result.boxes.push_back({box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y});
    }
    result.left_out += static_cast<int64_t>(record.objects.size() - kept.size());
  }
  return result;
}

}  // namespace ssdq
