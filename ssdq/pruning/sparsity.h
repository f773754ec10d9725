#pragma once

#include <cstdint>
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

// All scales one after another, [n]; a copy.
torch::Tensor concatenated(const PenalisedScales& scales);

// Scales of a channel group: the places of its values in concatenated().
struct ScaleGroup {
  std::string name;  // the first batch norm's node, and how many there are besides: "backbone.0 +2"
  std::vector<int64_t> places;
};

// Which of the concatenated() scales belong together.
struct ScaleLayout {
  std::vector<std::vector<int64_t>> units;  // places of the scales that are removed together
  std::vector<ScaleGroup> groups;           // in the order of channel_groups()
  int64_t count = 0;                        // of all scales
};

// `scales` are those of penalised_scales() with the same scope.
ScaleLayout scale_layout(const GraphModuleImpl& network, PruneScope scope,
                         const PenalisedScales& scales);

struct SparsityStatus {
  struct Cut {
    int percent = 0;       // of the units are removed
    double threshold = 0;  // what select_units() cuts at by the mean |gamma| of units
    int64_t below = 0;     // scales with a smaller |gamma|
  };
  double near_zero = 0;   // share of |gamma| smaller than 1 % of their mean
  std::vector<Cut> cuts;  // at 30, 50 and 70 %
};

// Throws Error when there are no scales.
SparsityStatus sparsity_status(const PenalisedScales& scales, const ScaleLayout& layout);

}  // namespace ssdq
