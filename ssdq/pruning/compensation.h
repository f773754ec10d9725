#pragma once

#include <string>
#include <vector>

#include "ssdq/checkpoint/state.h"
#include "ssdq/modeling/graph_module.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// What compensation could not give back at a convolution: the largest and the mean magnitude, over
// its kept outputs and their positions, of the removed channels' part less its mean.
struct CompensationResidual {
  std::string node;
  double largest = 0, mean = 0;
};

struct Compensated {
  State state;
  std::vector<CompensationResidual> residuals;  // of convolutions that read removed channels
};

// Gives the constants of removed channels to what reads them. A removed channel whose gamma is 0
// carries act(beta) (without batch norm, act(bias)) on every pixel; its way is followed through
// depthwise convolutions, pools, adds, concats and upsampling with the padding as it is, and what a
// dense convolution makes of it, averaged over the map, goes into its batch norm's running mean, or
// its bias: with that average no plain bias has a smaller squared error, and away from zero padding
// it is exact. Squeeze-excite gets its part of the mean exactly; what a channel brings beyond a
// gate or an L2Norm depends on the image and is lost. Where a convolution quantizes, the quantized
// values are those that count.
//
// `network` must be in evaluation mode, its state is what is compensated. The result is for
// prune_state() and mask_state() alike, as long as quantizers have a code for 0.
Compensated compensate(GraphModuleImpl& network, const ChannelUnits& units, const KeptUnits& kept);

}  // namespace ssdq
