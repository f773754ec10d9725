#pragma once

#include <vector>

#include "ssdq/pruning/channel_groups.h"

namespace ssdq {

struct SelectionOptions {
  double percent = 0.5;  // share of the units to remove, 0 <= percent < 1
  bool regular = false;
  int multiple = 8;  // of the counts that regular keeps
};

struct Selection {
  KeptUnits kept;
  double threshold = 0;  // the score that a unit must have to be kept
};

// One threshold over the units of all groups: with their n scores sorted, the one at place
// floor(n percent); units of that score and above stay. A group keeps its best unit whatever its
// score. With `regular` the count of each group is rounded up to a multiple, or to all it has, and
// that many of its best stay; so where a group has as many, it keeps at least one multiple. Units
// outside the groups stay. Scores are by unit.
//
// Throws ConfigError for a percent outside [0, 1) or a multiple below 1, Error for a score that is
// not finite.
Selection select_units(const std::vector<ChannelGroup>& groups, const std::vector<double>& scores,
                       const SelectionOptions& options);

}  // namespace ssdq
