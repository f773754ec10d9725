#pragma once

#include <vector>

#include "ssdq/layers/conv_block.h"
#include "ssdq/modeling/graph_module.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// Scores channels by what their removal does to the loss, to first order and squared: (sum of
// gradient times value)^2 over all that is 0 when a channel is gone (mask_state), averaged over
// batches. That is gamma and beta of the members' batch norms, filter and bias of members without
// one; members are the convolutions, dense and depthwise, that write or carry the channel.
//
// Paper: Molchanov et al., CVPR 2019, arXiv:1906.10771, section 3.1.
class TaylorImportance {
 public:
  // Shares the network's convolutions.
  TaylorImportance(const GraphModuleImpl& network, const ChannelUnits& units,
                   const std::vector<ChannelGroup>& groups);

  // Takes the gradients as a backward pass left them; they must be those of one batch, so clear
  // them before each. What the loss does not depend on counts as 0. Throws Error when there is no
  // gradient at all.
  void add();

  // By unit, at least 0; units outside the groups get 0. Throws Error before the first add().
  std::vector<double> scores() const;

 private:
  struct Member {
    ConvBlock block;
    std::vector<int> units;  // by output channel
  };

  std::vector<Member> members_;
  std::vector<bool> scored_;  // by unit
  std::vector<double> sums_;  // by unit, over the batches
  int batches_ = 0;
};

}  // namespace ssdq
