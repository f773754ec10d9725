#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "ssdq/modeling/graph_module.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// Scales gamma of batch norms by parameter name ("backbone.3.bn.weight"), sharing storage with the
// network.
using PenalisedScales = std::vector<std::pair<std::string, torch::Tensor>>;

// The scales of the convolutions, dense and depthwise, of the groups in scope, in node order. A
// convolution of which only some channels are in scope is left out.
PenalisedScales penalised_scales(const GraphModuleImpl& network, PruneScope scope);

std::set<std::string> names_of(const PenalisedScales& scales);

// Adds the gradient of `rate` sum |gamma|, rate sign(gamma), to that of each scale; scales without
// a gradient are not trained and are left alone.
//
// Paper: Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017,
// arXiv:1708.06519.
void add_penalty(const PenalisedScales& scales, double rate);

struct SparsityStatus {
  double below = 0;   // share of |gamma| smaller than 1 % of their mean
  double middle = 0;  // the |gamma| that half of them lie below: what --percent 0.5 cuts at when
                      // every group has one convolution
};

SparsityStatus sparsity_status(const PenalisedScales& scales);

}  // namespace ssdq
