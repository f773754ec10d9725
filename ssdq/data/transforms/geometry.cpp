#include "ssdq/data/transforms/geometry.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace ssdq {
namespace {

constexpr double kKeep = -1;  // the whole canvas
constexpr std::array<double, 7> kLeastIou = {kKeep, 0.1, 0.3, 0.5, 0.7, 0.9, 0};
constexpr int kTrials = 50;

Region expand(Size2 image, double largest, Random& random) {
  const double ratio = random.uniform(1, largest);
  const int width = static_cast<int>(image.width * ratio);
  const int height = static_cast<int>(image.height * ratio);
  const int left = static_cast<int>(random.uniform(0, width - image.width));
  const int top = static_cast<int>(random.uniform(0, height - image.height));
  return {-left, -top, width - left, height - top};
}

bool centre_inside(const Box& box, const Region& region) {
  const float cx = (box.x1 + box.x2) / 2;
  const float cy = (box.y1 + box.y2) / 2;
  return cx > static_cast<float>(region.x0) && cx < static_cast<float>(region.x1) &&
         cy > static_cast<float>(region.y0) && cy < static_cast<float>(region.y1);
}

Box as_box(const Region& region) {
  return {static_cast<float>(region.x0), static_cast<float>(region.y0), static_cast<float>(region.x1),
          static_cast<float>(region.y1)};
}

std::optional<Region> try_crop(const Region& canvas, const std::vector<Object>& objects, double least_iou,
                               Random& random) {
  const double width = random.uniform(0.3, 1) * canvas.width();
  const double height = random.uniform(0.3, 1) * canvas.height();
  if (height / width < 0.5 || height / width > 2) {
    return std::nullopt;
  }
  const double left = random.uniform(0, canvas.width() - width);
  const double top = random.uniform(0, canvas.height() - height);
  const Region crop{canvas.x0 + static_cast<int>(left), canvas.y0 + static_cast<int>(top),
                    canvas.x0 + static_cast<int>(left + width), canvas.y0 + static_cast<int>(top + height)};
  if (crop.width() < 1 || crop.height() < 1) {
    return std::nullopt;
  }
  const Box box = as_box(crop);
  float best = 0;
  bool any_centre = false;
  for (const auto& object : objects) {
    best = std::max(best, iou(object.box, box));
    any_centre = any_centre || centre_inside(object.box, crop);
  }
  return any_centre && best >= static_cast<float>(least_iou) ? std::optional(crop) : std::nullopt;
}

Region sample_crop(const Region& canvas, const std::vector<Object>& objects, Random& random) {
  if (objects.empty()) {
    return canvas;
  }
  while (true) {
    const double least_iou = kLeastIou[random.below(kLeastIou.size())];
    if (least_iou == kKeep) {
      return canvas;
    }
    for (int trial = 0; trial < kTrials; ++trial) {
      if (const auto crop = try_crop(canvas, objects, least_iou, random)) {
        return *crop;
      }
    }
  }
}

}  // namespace

GeometryPlan plan_geometry(Size2 image, const std::vector<Object>& objects, const AugmentationConfig& augmentation,
                           Random& random) {
  GeometryPlan plan;
  plan.region = {0, 0, image.width, image.height};
  if (augmentation.expand && random.coin()) {
    plan.region = expand(image, augmentation.expand_ratio, random);
  }
  if (augmentation.crop) {
    plan.region = sample_crop(plan.region, objects, random);
  }
  plan.mirror = augmentation.mirror && random.coin();
  plan.flip_vertical = augmentation.flip_vertical && random.coin();
  const Box window = as_box(plan.region);
  for (Object object : objects) {
    if (centre_inside(object.box, plan.region)) {
      Box& box = object.box;
      box = {std::max(box.x1, window.x1), std::max(box.y1, window.y1), std::min(box.x2, window.x2),
             std::min(box.y2, window.y2)};
      plan.objects.push_back(object);
    }
  }
  return plan;
}

}  // namespace ssdq
