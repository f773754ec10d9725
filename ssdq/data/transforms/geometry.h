#pragma once

#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/data/random.h"
#include "ssdq/structures/object.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// Rectangle of whole source pixels, [x0, x1) x [y0, y1). May reach out of the image: what lies outside is filled with the mean.
struct Region {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  int width() const { return x1 - x0; }
  int height() const { return y1 - y0; }
};

// What the geometric part of SSD's augmentation decided for one image.
struct GeometryPlan {
  Region region;
  bool mirror = false;
  bool flip_vertical = false;
  std::vector<Object> objects;  // those kept, boxes in source pixels clipped to the region
};

// Draws expansion, sample crop and flips and composes them into one region of the source image (Liu et al., ECCV 2016,
// section 2.2). Expansion: with probability 1/2 a canvas of 1..expand_ratio times the sides holds the image somewhere. Crop: one of
// {keep, best IoU >= .1, .3, .5, .7, .9, free}; up to 50 trials of sides in [.3, 1] and aspect in [.5, 2] until a box centre lies inside;
// objects whose centre is outside are dropped. Departure from lufficc/SSD: the IoU set has the paper's .5.
GeometryPlan plan_geometry(Size2 image, const std::vector<Object>& objects, const AugmentationConfig& augmentation,
                           Random& random);

}  // namespace ssdq
