#include "ssdq/detection/matcher.h"

#include <algorithm>
#include <cstring>

#include "ssdq/utils/error.h"
#include "ssdq/utils/simd.h"

namespace ssdq {
namespace {

struct PriorCorners {
  const float* x1;
  const float* y1;
  const float* x2;
  const float* y2;
  const float* area;
  int count;
};

// Overlap of one object with every prior. Those that beat `best_iou` replace it, and `best_object`
// there.
SSDQ_TARGET_CLONES
void compare_object(const PriorCorners& priors, const Box& box, int32_t object,
                    float* __restrict iou_of, float* __restrict best_iou,
                    int32_t* __restrict best_object) {
  const float* __restrict x1 = priors.x1;
  const float* __restrict y1 = priors.y1;
  const float* __restrict x2 = priors.x2;
  const float* __restrict y2 = priors.y2;
  const float* __restrict area = priors.area;
  const Box b = box;
  const float box_area = b.area();
  for (int p = 0; p < priors.count; ++p) {
    const float left = x1[p] > b.x1 ? x1[p] : b.x1;
    const float top = y1[p] > b.y1 ? y1[p] : b.y1;
    const float right = x2[p] < b.x2 ? x2[p] : b.x2;
    const float bottom = y2[p] < b.y2 ? y2[p] : b.y2;
    const float width = right - left;
    const float height = bottom - top;
    const float common = (width > 0 ? width : 0.0F) * (height > 0 ? height : 0.0F);
    const float overlap = common / (area[p] + box_area - common);
    const bool better = overlap > best_iou[p];
    iou_of[p] = overlap;
    best_iou[p] = better ? overlap : best_iou[p];
    best_object[p] = better ? object : best_object[p];
  }
}

// Index of the first largest of `count` numbers, none of them negative: as bits they order like
// integers, whose maximum vectorises.
SSDQ_TARGET_CLONES
int first_largest(const float* values, int count) {
  int32_t largest = 0;
  for (int i = 0; i < count; ++i) {
    int32_t bits = 0;
    std::memcpy(&bits, values + i, sizeof bits);
    largest = bits > largest ? bits : largest;
  }
  float value = 0;
  std::memcpy(&value, &largest, sizeof value);
  return static_cast<int>(std::find(values, values + count, value) - values);
}

}  // namespace

Matcher::Matcher(const std::vector<CenterBox>& priors, float threshold, BoxVariances variances)
    : priors_(priors), threshold_(threshold), variances_(variances) {
  SSDQ_CHECK_CONFIG(!priors.empty(),
                    "matching needs at least one prior, got none: check MODEL.PRIORS");
  for (const CenterBox& prior : priors) {
    const Box corners = to_corners(prior);
    x1_.push_back(corners.x1);
    y1_.push_back(corners.y1);
    x2_.push_back(corners.x2);
    y2_.push_back(corners.y2);
    area_.push_back(corners.area());
  }
}

Targets Matcher::match(const std::vector<Object>& objects_norm) const {
  const size_t count = priors_.size();
  Targets targets;
  targets.labels.assign(count, 0);
  targets.locations.assign(count, {0, 0, 0, 0});
  if (objects_norm.empty()) {
    return targets;
  }
  std::vector<float> iou_of(count);
  std::vector<float> best_iou(count, -1.0F);
  std::vector<int32_t> best_object(count, 0);
  std::vector<int> best_prior;
  const PriorCorners corners{x1_.data(), y1_.data(),   x2_.data(),
                             y2_.data(), area_.data(), num_priors()};
  for (size_t i = 0; i < objects_norm.size(); ++i) {
    const Box& box = objects_norm[i].box;
    SSDQ_CHECK(
        box.width() > 0 && box.height() > 0,
        "object {} has box ({}, {}, {}, {}); expected positive width and height: run check_data", i,
        box.x1, box.y1, box.x2, box.y2);
    compare_object(corners, box, static_cast<int32_t>(i), iou_of.data(), best_iou.data(),
                   best_object.data());
    best_prior.push_back(first_largest(iou_of.data(), num_priors()));
  }
  for (size_t i = 0; i < objects_norm.size(); ++i) {
    best_object[best_prior[i]] = static_cast<int32_t>(i);
    best_iou[best_prior[i]] = 2.0F;
  }
  for (size_t p = 0; p < count; ++p) {
    if (best_iou[p] >= threshold_) {
      const Object& object = objects_norm[best_object[p]];
      targets.labels[p] = object.label;
      targets.locations[p] = encode(to_center(object.box), priors_[p], variances_);
    }
  }
  return targets;
}

Targets match(const std::vector<CenterBox>& priors, const std::vector<Object>& objects_norm,
              float threshold, BoxVariances variances) {
  return Matcher(priors, threshold, variances).match(objects_norm);
}

}  // namespace ssdq
