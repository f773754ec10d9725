#pragma once

#include <string>
#include <vector>

#include "ssdq/modeling/graph_module.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// Some quantizers take the scale of a weight from the weight at hand (DoReFa and PACT from its
// largest value, binary ones from the mean of a filter), so that what pruning leaves of it gets
// another. Fits by least squares, for each output channel, the factor between the quantized weights
// of `compact` and those of `whole` that are kept, and gives it to the running mean and variance of
// the batch norm behind: outputs are as before up to the rounding to other codes. Where the scale
// stays, so does everything.
//
// Both networks must be in evaluation mode. Returns the quantized convolutions without a batch norm
// whose weights are off by more than 1 %; nothing can take up their factor.
std::vector<std::string> rescale_statistics(GraphModuleImpl& whole, const ChannelUnits& units,
                                            const KeptUnits& kept, GraphModuleImpl& compact);

}  // namespace ssdq
