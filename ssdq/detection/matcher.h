#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ssdq/detection/box_coder.h"
#include "ssdq/detection/priors.h"
#include "ssdq/structures/object.h"

namespace ssdq {

// Training targets of one image: for each of P priors a label (0 = background) and the encoded box.
struct Targets {
  std::vector<int64_t> labels;                  // [P]
  std::vector<std::array<float, 4>> locations;  // [P] (dx, dy, dw, dh), zero for the background
};

// Assigns objects (boxes normalised to [0, 1]) to priors: each prior takes its best object if their
// IoU is at least `threshold`; each object keeps its best prior whatever the IoU (Liu et al., ECCV
// 2016, section 2.2). The first of equals wins; of two objects with the same best prior the later
// one keeps it.
//
// Made once per training run; match() may be called from many threads.
class Matcher {
 public:
  // Throws ConfigError when there are no priors.
  Matcher(const std::vector<CenterBox>& priors, float threshold, BoxVariances variances);

  // Throws Error for an object whose width or height is not positive.
  Targets match(const std::vector<Object>& objects_norm) const;

  int num_priors() const { return static_cast<int>(priors_.size()); }

 private:
  std::vector<CenterBox> priors_;
  float threshold_;
  BoxVariances variances_;
  std::vector<float> x1_, y1_, x2_, y2_, area_;  // corners of the priors, [P] each
};

// Matcher for one image.
Targets match(const std::vector<CenterBox>& priors, const std::vector<Object>& objects_norm,
              float threshold, BoxVariances variances);

}  // namespace ssdq
