#pragma once

#include <string>
#include <vector>

#include "ssdq/checkpoint/state.h"
#include "ssdq/modeling/graph_module.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

struct MergedConstants {
  State state;                        // of the whole network
  KeptUnits kept;                     // with the carriers
  std::vector<int> carriers;          // one removed unit of each group served, in group order
  std::vector<std::string> left_out;  // "group: reason" where compensate() has to do, inexactly
};

// Gives the constants of removed channels to what reads them exactly, borders of zero-padded maps
// included, for one more channel in each group that needs it. A removed channel k of a group whose
// gamma is 0 carries a constant a_k (see compensate()). One of the group, the carrier, stays and
// carries a constant u of its own (gamma 0 and beta 1, without batch norm weights 0 and bias 1; u
// is what activations and adds make of it), and each dense convolution that reads the group gets
//
//   W'[o, carrier] = sum over removed k of a_k W[o, k] / u.
//
// The gamma and beta of the others become 0. So the whole network with the new state, the masked
// and the compact one compute what the old one does with a gamma of 0 for removed channels and
// their betas as they were.
//
// A group needs a carrier when a dense convolution with padding and more than one output pixel
// reads constants other than 0 of it; elsewhere compensate() is exact already. It can have one when
// its maps are constant on all ways: max pools, average pools without padding, upsampling, concats,
// adds, depthwise convolutions without padding (or whose scale or input is 0), on to convolutions
// without quantizers. Left out are groups that a squeeze-excite, an L2Norm, an average over
// padding, quantizers or any other depthwise convolution read, as a whole.
//
// What remains is for compensate(), on a network with the new state and with the new `kept`. Counts
// that were chosen as multiples are one above them where the group has a carrier.
//
// `network` must be in evaluation mode and on the CPU.
MergedConstants merge_constants(GraphModuleImpl& network, const ChannelUnits& units,
                                const KeptUnits& kept);

}  // namespace ssdq
