#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ssdq/detection/priors.h"
#include "ssdq/structures/object.h"

namespace ssdq {

// Training targets of one image: for each of P priors a label (0 = background) and the encoded box.
struct Targets {
  std::vector<int64_t> labels;                 // [P]
  std::vector<std::array<float, 4>> locations; // [P] (dx, dy, dw, dh), zero for the background
};

struct BoxVariances {
  float center = 0.1F;
  float size = 0.2F;
};

// Assigns objects (boxes normalised to [0, 1]) to priors: each prior takes its best object if their
// IoU is at least `threshold`; each object keeps its best prior whatever the IoU. Encoding as in
// box_coder.h. Objects must have positive width and height.
Targets match(const std::vector<CenterBox>& priors, const std::vector<Object>& objects_norm, float threshold,
              BoxVariances variances);

}  // namespace ssdq
