#include "ssdq/data/transforms/geometry.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ssdq {
namespace {

constexpr int kTrials = 50;
constexpr int kRounds = 1000;
constexpr std::array<float, 7> kLeastIou{-1,   0.1F, 0.3F, 0.5F,
                                         0.7F, 0.9F, 0};  // -1: keep the whole

bool centre_inside(const Box& box, const Box& patch) {
  const float x = (box.x1 + box.x2) / 2;
  const float y = (box.y1 + box.y2) / 2;
  return patch.x1 < x && x < patch.x2 && patch.y1 < y && y < patch.y2;
}

bool acceptable(const std::vector<Object>& objects, const Box& patch, float least_iou) {
  float best = 0;
  bool any_inside = false;
  for (const Object& object : objects) {
    best = std::max(best, iou(object.box, patch));
    any_inside = any_inside || centre_inside(object.box, patch);
  }
  return any_inside && best >= least_iou;
}

Box draw_expanded(double ratio_limit, Size2 image, Random& random) {
  const double ratio = random.uniform(1, ratio_limit);
  const double left = std::floor(random.uniform(0, image.width * (ratio - 1)));
  const double top = std::floor(random.uniform(0, image.height * (ratio - 1)));
  return {static_cast<float>(-left), static_cast<float>(-top),
          static_cast<float>(std::floor(image.width * ratio) - left),
          static_cast<float>(std::floor(image.height * ratio) - top)};
}

Box draw_patch(const Box& whole, Random& random) {
  const double w = random.uniform(0.3 * whole.width(), whole.width());
  const double h = random.uniform(0.3 * whole.height(), whole.height());
  const double left = random.uniform(0, whole.width() - w);
  const double top = random.uniform(0, whole.height() - h);
  return {whole.x1 + static_cast<float>(std::floor(left)),
          whole.y1 + static_cast<float>(std::floor(top)),
          whole.x1 + static_cast<float>(std::floor(left + w)),
          whole.y1 + static_cast<float>(std::floor(top + h))};
}

Box draw_crop(const Box& whole, const std::vector<Object>& objects, Random& random) {
  for (int round = 0; round < kRounds && !objects.empty(); ++round) {
    const float least_iou = kLeastIou[random.below(kLeastIou.size())];
    if (least_iou < 0) {
      return whole;
    }
    for (int trial = 0; trial < kTrials; ++trial) {
      const Box patch = draw_patch(whole, random);
      const bool shaped = patch.width() >= 1 && patch.height() >= 1 &&
                          patch.height() <= 2 * patch.width() &&
                          patch.width() <= 2 * patch.height();
      if (shaped && acceptable(objects, patch, least_iou)) {
        return patch;
      }
    }
  }
  return whole;
}

Box normalised(const Box& box, const View& view) {
  const Box& v = view.view;
  const auto clip = [](float x) { return std::min(1.0F, std::max(0.0F, x)); };
  Box out{clip((box.x1 - v.x1) / v.width()), clip((box.y1 - v.y1) / v.height()),
          clip((box.x2 - v.x1) / v.width()), clip((box.y2 - v.y1) / v.height())};
  if (view.mirrored) {
    out = {1 - out.x2, out.y1, 1 - out.x1, out.y2};
  }
  if (view.flipped) {
    out = {out.x1, 1 - out.y2, out.x2, 1 - out.y1};
  }
  return out;
}

}  // namespace

Sample draw_sample(const AugmentationConfig& how, Size2 image, const std::vector<Object>& objects,
                   Random& random) {
  Sample sample;
  View& view = sample.view;
  view.view = {0, 0, static_cast<float>(image.width), static_cast<float>(image.height)};
  if (how.expand && random.coin()) {
    view.view = draw_expanded(how.expand_ratio, image, random);
  }
  const Box whole = view.view;
  if (how.crop) {
    view.view = draw_crop(whole, objects, random);
  }
  const bool cropped = !(view.view == whole);
  view.mirrored = how.mirror && random.coin();
  view.flipped = how.flip_vertical && random.coin();
  for (const Object& object : objects) {
    if (cropped && !centre_inside(object.box, view.view)) {
      continue;
    }
    Object shown = object;
    shown.box = normalised(object.box, view);
    if (shown.box.width() > 0 && shown.box.height() > 0) {
      sample.objects.push_back(shown);
    }
  }
  return sample;
}

}  // namespace ssdq
