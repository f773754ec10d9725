#pragma once

#include <cstddef>
#include <vector>

#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

struct CountRounding {
  bool regular = false;
  int multiple = 8;  // of the counts that regular keeps
};

// Scores of the units of all groups, ascending. Throws Error for one that is not finite.
std::vector<double> sorted_scores(const std::vector<ChannelGroup>& groups,
                                  const std::vector<double>& scores);

// The scores in the order in which units go, 0 for the first: by score, of equals by unit; units
// outside the groups get 0. So no two are equal and any number of units can go. Throws Error for a
// score that is not finite.
std::vector<double> ranks_of(const std::vector<ChannelGroup>& groups,
                             const std::vector<double>& scores);

// floor(units percent). Throws ConfigError for a percent outside [0, 1).
size_t removed_count(size_t units, double percent);

// Of n sorted scores the one at place floor(n percent): removing what lies below removes that
// share. 0 for no scores. Throws ConfigError for a percent outside [0, 1).
double threshold_at(const std::vector<double>& sorted, double percent);

// Units whose score is at least `threshold` stay. A group keeps its best unit whatever its score.
// With `regular` the count of each group is rounded up to a multiple, or to all it has, and that
// many of its best stay; so where a group has as many, it keeps at least one multiple. Units
// outside the groups stay. Scores are by unit. Throws ConfigError for a multiple below 1.
KeptUnits select_units(const std::vector<ChannelGroup>& groups, const std::vector<double>& scores,
                       double threshold, const CountRounding& rounding);

}  // namespace ssdq
