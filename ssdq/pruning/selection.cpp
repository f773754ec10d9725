#include "ssdq/pruning/selection.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ssdq/utils/error.h"

namespace ssdq {

std::vector<double> sorted_scores(const std::vector<ChannelGroup>& groups,
                                  const std::vector<double>& scores) {
  std::vector<double> all;
  for (const auto& group : groups) {
    for (const int unit : group.units) {
      SSDQ_CHECK(std::isfinite(scores[unit]),
                 "the importance of a channel is {}; expected a number", scores[unit]);
      all.push_back(scores[unit]);
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<double> ranks_of(const std::vector<ChannelGroup>& groups,
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
  std::vector<double> ranks(scores.size());
  for (size_t rank = 0; rank < units.size(); ++rank) {
    ranks[units[rank].second] = static_cast<double>(rank);
  }
  return ranks;
}

double threshold_at(const std::vector<double>& sorted, double percent) {
  SSDQ_CHECK_CONFIG(percent >= 0 && percent < 1,
                    "the share of channels to remove is {}; expected at least 0 and less than 1, "
                    "such as 0.5",
                    percent);
  return sorted.empty() ? 0
                        : sorted[static_cast<size_t>(static_cast<double>(sorted.size()) * percent)];
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
