#include "ssdq/pruning/selection.h"

#include <algorithm>
#include <cmath>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

double threshold_of(const std::vector<ChannelGroup>& groups, const std::vector<double>& scores,
                    double percent) {
  std::vector<double> all;
  for (const auto& group : groups) {
    for (const int unit : group.units) {
      SSDQ_CHECK(std::isfinite(scores[unit]),
                 "the importance of a channel is {}; expected a number", scores[unit]);
      all.push_back(scores[unit]);
    }
  }
  if (all.empty()) {
    return 0;
  }
  const auto place = static_cast<std::ptrdiff_t>(static_cast<double>(all.size()) * percent);
  std::nth_element(all.begin(), all.begin() + place, all.end());
  return all[place];
}

}  // namespace

Selection select_units(const std::vector<ChannelGroup>& groups, const std::vector<double>& scores,
                       const SelectionOptions& options) {
  SSDQ_CHECK_CONFIG(options.percent >= 0 && options.percent < 1,
                    "the share of channels to remove is {}; expected at least 0 and less than 1, "
                    "such as 0.5",
                    options.percent);
  SSDQ_CHECK_CONFIG(options.multiple >= 1, "channels in multiples of {}; expected 1 or more",
                    options.multiple);
  Selection selection;
  selection.kept.assign(scores.size(), true);
  selection.threshold = threshold_of(groups, scores, options.percent);
  const auto multiple = static_cast<size_t>(options.multiple);
  for (const auto& group : groups) {
    std::vector<int> best = group.units;
    std::stable_sort(best.begin(), best.end(), [&](int a, int b) { return scores[a] > scores[b]; });
    const auto first_below = std::find_if(
        best.begin(), best.end(), [&](int unit) { return scores[unit] < selection.threshold; });
    size_t count = std::max<size_t>(static_cast<size_t>(first_below - best.begin()), 1);
    if (options.regular) {
      count = std::min((count + multiple - 1) / multiple * multiple, best.size());
    }
    for (size_t i = count; i < best.size(); ++i) {
      selection.kept[best[i]] = false;
    }
  }
  return selection;
}

}  // namespace ssdq
