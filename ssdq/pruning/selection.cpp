#include "ssdq/pruning/selection.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {

namespace {

// By score, of equals by unit.
std::vector<std::pair<double, int>> sorted_units(const std::vector<ChannelGroup>& groups,
                                                 const std::vector<double>& scores) {
  std::vector<std::pair<double, int>> units;
  for (const auto& group : groups) {
    for (const int unit : group.units) {
      SSDQ_CHECK(std::isfinite(scores[unit]),
                 "the importance of a channel is {}; expected a number", scores[unit]);
      units.emplace_back(scores[unit], unit);
    }
  }
  std::sort(units.begin(), units.end());
  return units;
}

}  // namespace

std::vector<double> sorted_scores(const std::vector<ChannelGroup>& groups,
                                  const std::vector<double>& scores) {
  std::vector<double> sorted;
  for (const auto& unit : sorted_units(groups, scores)) {
    sorted.push_back(unit.first);
  }
  return sorted;
}

std::vector<double> ranks_of(const std::vector<ChannelGroup>& groups,
                             const std::vector<double>& scores) {
  std::vector<double> ranks(scores.size());
  double rank = 0;
  for (const auto& unit : sorted_units(groups, scores)) {
    ranks[unit.second] = rank++;
  }
  return ranks;
}

size_t removed_count(size_t units, double percent) {
  SSDQ_CHECK_CONFIG(percent >= 0 && percent < 1,
                    "the share of channels to remove is {}; expected at least 0 and less than 1, "
                    "such as 0.5",
                    percent);
  return static_cast<size_t>(static_cast<double>(units) * percent);
}

double threshold_at(const std::vector<double>& sorted, double percent) {
  const size_t place = removed_count(sorted.size(), percent);
  return sorted.empty() ? 0 : sorted[place];
}

KeptUnits select_units(const std::vector<ChannelGroup>& groups, const std::vector<double>& scores,
                       double threshold, const CountRounding& rounding) {
  SSDQ_CHECK_CONFIG(rounding.multiple >= 1, "channels in multiples of {}; expected 1 or more",
                    rounding.multiple);
  KeptUnits kept(scores.size(), true);
  const auto multiple = static_cast<size_t>(rounding.multiple);
  for (const auto& group : groups) {
    std::vector<int> best = group.units;
    std::stable_sort(best.begin(), best.end(), [&](int a, int b) { return scores[a] > scores[b]; });
    const auto first_below =
        std::find_if(best.begin(), best.end(), [&](int unit) { return scores[unit] < threshold; });
    size_t count = std::max<size_t>(static_cast<size_t>(first_below - best.begin()), 1);
    if (rounding.regular) {
      count = std::min((count + multiple - 1) / multiple * multiple, best.size());
    }
    for (size_t i = count; i < best.size(); ++i) {
      kept[best[i]] = false;
    }
  }
  return kept;
}

}  // namespace ssdq
