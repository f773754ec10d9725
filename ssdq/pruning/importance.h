#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/modeling/graph_module.h"
#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

// How much a channel matters, taken over its members: the convolutions, dense and depthwise, that
// write or carry it.
//
// kBatchNorm: the mean |gamma| of the members with batch norm. Where none has one, kL2 takes its
// place: a channel of average weights scores 1, so next to scales below 1 such groups lose little.
// kL1, kL2: a member's filter norms over their mean in the group, averaged over the members; so
// every group's mean is 1 and wide filters count no more than depthwise ones.
// kRandom: uniform in [0, 1), the baseline of every comparison.
//
// Papers: Liu et al., ICCV 2017, arXiv:1708.06519 (batch norm); Li et al., ICLR 2017,
// arXiv:1608.08710 (filter norms).
enum class Importance { kBatchNorm, kL1, kL2, kRandom };

// bn, l1, l2, random. Throws ConfigError for another name.
Importance parse_importance(const std::string& name);
const char* to_string(Importance importance);

// Scores by unit, at least 0; units outside the groups get 0. Throws ConfigError when kBatchNorm
// finds no batch norm at all.
std::vector<double> unit_scores(const GraphModuleImpl& network, const ChannelUnits& units,
                                const std::vector<ChannelGroup>& groups, Importance importance,
                                uint64_t seed);

}  // namespace ssdq
