#pragma once

#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/data/transforms/random.h"
#include "ssdq/structures/object.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// What part of an image a training sample shows: the rectangle `view` in pixels of the image (whole
// numbers; it reaches outside where expand added mean-coloured margin), mirrored or not.
struct View {
  Box view;
  bool mirrored = false;
  bool flipped = false;  // upside down
};

struct Sample {
  View view;
  std::vector<Object> objects;  // boxes in [0, 1] of the view, as shown
};

// Draws SSD's expand, sample crop, mirror and vertical flip from the image's size and boxes
// (pixels) alone. Crop: the least IoU that some object has with the patch is one of {whole image,
// .1, .3, .5, .7, .9, any}; 50 trials each, sides in [.3, 1], aspect in [.5, 2]; objects whose
// centre lies inside stay, clipped. An image without objects is not cropped. lufficc/SSD leaves out
// .5 and never applies the IoU bound.
Sample draw_sample(const AugmentationConfig& how, Size2 image, const std::vector<Object>& objects,
                   Random& random);

}  // namespace ssdq
