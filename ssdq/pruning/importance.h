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
// kFpgm: a member's sums of the Euclidean distances of a filter to the other filters of the group,
// over their mean and averaged over the members as for kL1: filters that others can stand in for
// go. A group of one scores 1.
// kLamp: w^2 over the sum of the w^2 of the group that are not smaller, its own included, w being
// the score of kL2. No further normalisation: in every group the largest gets 1 and the others less
// than 1/2, so that scores compare between groups as they are. Equals get the same: k that share
// the largest w get 1/k each.
// kRandom: uniform in [0, 1), the baseline of every comparison.
//
// Papers: Liu et al., ICCV 2017, arXiv:1708.06519 (batch norm); Li et al., ICLR 2017,
// arXiv:1608.08710 (filter norms); He et al., CVPR 2019, arXiv:1811.00250 (FPGM); Lee et al., ICLR
// 2021, arXiv:2010.07611 (LAMP, there for single weights; of channels in Fang et al., CVPR 2023,
// arXiv:2301.12900).
enum class Importance { kBatchNorm, kL1, kL2, kFpgm, kLamp, kRandom };

// "bn", "l1", "l2", "fpgm", "lamp", "random".
const char* to_string(Importance importance);

// Scores by unit, at least 0; units outside the groups get 0. Throws ConfigError when kBatchNorm
// finds no batch norm at all.
std::vector<double> unit_scores(const GraphModuleImpl& network, const ChannelUnits& units,
                                const std::vector<ChannelGroup>& groups, Importance importance,
                                uint64_t seed);

}  // namespace ssdq
