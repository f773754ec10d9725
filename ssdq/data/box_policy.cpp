#include "ssdq/data/box_policy.h"

#include <algorithm>
#include <cmath>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

Box clip(const Box& box, Size2 size) {
  const auto width = static_cast<float>(size.width);
  const auto height = static_cast<float>(size.height);
  return {std::clamp(box.x1, 0.0F, width), std::clamp(box.y1, 0.0F, height),
          std::clamp(box.x2, 0.0F, width), std::clamp(box.y2, 0.0F, height)};
}

bool has_area(const Box& box) {
  return box.width() >= kLeastSidePx && box.height() >= kLeastSidePx;
}

void check_label(const Record& record, int number, int label, int num_classes) {
  SSDQ_CHECK(label >= 1 && label < num_classes,
             "image {}: object {} has label {}, but MODEL.NUM_CLASSES {} (background included) "
             "allows 1..{}; set MODEL.NUM_CLASSES to the classes of the data set plus 1",
             record.image_id, number, label, num_classes, num_classes - 1);
}

}  // namespace

BoxPolicy parse_box_policy(const std::string& text) {
  if (text == "clip") {
    return BoxPolicy::kClip;
  }
  if (text == "drop") {
    return BoxPolicy::kDrop;
  }
  if (text == "error") {
    return BoxPolicy::kError;
  }
  fail_config("DATASETS.BAD_BOXES is '{}'; it must be clip, drop or error", text);
}

std::optional<BoxFault> find_box_fault(const Box& box, Size2 image_size) {
  if (!std::isfinite(box.x1) || !std::isfinite(box.y1) || !std::isfinite(box.x2) ||
      !std::isfinite(box.y2)) {
    return BoxFault::kNotFinite;
  }
  if (box.x1 > box.x2 || box.y1 > box.y2) {
    return BoxFault::kReversed;
  }
  if (!has_area(box)) {
    return BoxFault::kNoArea;
  }
  if (image_size.width <= 0 || image_size.height <= 0) {
    return std::nullopt;
  }
  if (!has_area(clip(box, image_size))) {
    return BoxFault::kOutside;
  }
  const float right = static_cast<float>(image_size.width) + kOutsideTolerancePx;
  const float bottom = static_cast<float>(image_size.height) + kOutsideTolerancePx;
  if (box.x1 < -kOutsideTolerancePx || box.y1 < -kOutsideTolerancePx || box.x2 > right ||
      box.y2 > bottom) {
    return BoxFault::kPartlyOutside;
  }
  return std::nullopt;
}

std::string describe(BoxFault fault) {
  switch (fault) {
    case BoxFault::kNotFinite:
      return "is not finite";
    case BoxFault::kReversed:
      return "has its minimum above its maximum";
    case BoxFault::kNoArea:
      return "has no area";
    case BoxFault::kOutside:
      return "lies outside the image";
    case BoxFault::kPartlyOutside:
      return "reaches out of the image";
  }
  return "";
}

SanitizedObjects sanitize(const Record& record, Size2 image_size, BoxPolicy policy,
                          int num_classes) {
  const bool size_known = image_size.width > 0 && image_size.height > 0;
  SanitizedObjects result;
  result.objects.reserve(record.objects.size());
  int number = 0;
  for (const Object& object : record.objects) {
    ++number;
    check_label(record, number, object.label, num_classes);
    const std::optional<BoxFault> fault = find_box_fault(object.box, image_size);
    if (fault) {
      const Box& box = object.box;
      SSDQ_CHECK(policy != BoxPolicy::kError,
                 "image {}: object {}, box ({}, {}, {}, {}) {}; correct the annotation, or set "
                 "DATASETS.BAD_BOXES to clip or drop",
                 record.image_id, number, box.x1, box.y1, box.x2, box.y2, describe(*fault));
      result.issues.push_back({number, *fault, box});
      if (policy == BoxPolicy::kDrop || *fault != BoxFault::kPartlyOutside) {
        continue;
      }
    }
    result.objects.push_back(object);
    if (size_known) {
      result.objects.back().box = clip(object.box, image_size);
    }
  }
  return result;
}

}  // namespace ssdq
