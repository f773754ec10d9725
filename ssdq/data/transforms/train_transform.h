#pragma once

#include <array>
#include <vector>

#include "ssdq/config/config.h"
#include "ssdq/data/image_reader.h"
#include "ssdq/data/random.h"
#include "ssdq/structures/object.h"
#include "ssdq/structures/size.h"

namespace ssdq {

// How pixels become network input: (value - mean) / std, channels R, G, B.
struct Normalization {
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> std{1, 1, 1};
};

Normalization make_normalization(const InputConfig& input);

// SSD's training augmentation, ordered for speed: all random numbers first, then one decoding no larger than needed, one
// resize of the region that is kept, and photometric distortion of the small result in the same pass that makes it float.
// Distorting after instead of before the resize differs by rounding alone, but for hue and saturation, which are not linear: there
// by the mixing of neighbouring pixels. Pixels outside the image are the mean, zero after normalisation.
class TrainTransform {
 public:
  TrainTransform(Size2 image_size, const Normalization& normalization, const AugmentationConfig& augmentation);

  // Writes [H, W, 3] floats to `out` and returns the kept objects with boxes normalised to [0, 1]. `objects` are in source
  // pixels and must have positive sides. Throws Error when the image cannot be decoded.
  std::vector<Object> operator()(const EncodedImage& image, const std::vector<Object>& objects, Random& random,
                                 float* out) const;

 private:
  Size2 image_size_;
  Normalization normalization_;
  AugmentationConfig augmentation_;
};

// The transform of evaluation: bilinear resize (no antialiasing, as in training frameworks) and normalisation of an 8-bit RGB image
// into [H, W, 3] floats.
void test_transform(const cv::Mat& rgb, Size2 image_size, const Normalization& normalization, float* out);

}  // namespace ssdq
