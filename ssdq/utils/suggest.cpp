#include "ssdq/utils/suggest.h"

#include <algorithm>

#include <fmt/format.h>

#include "ssdq/utils/strings.h"

namespace ssdq {

int edit_distance(std::string_view a, std::string_view b) {
  const std::string from = to_lower(a);
  const std::string to = to_lower(b);
  std::vector<std::vector<int>> cost(from.size() + 1, std::vector<int>(to.size() + 1));
  for (size_t i = 0; i <= from.size(); ++i) {
    for (size_t j = 0; j <= to.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = static_cast<int>(i + j);
        continue;
      }
      const int replaced = cost[i - 1][j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      cost[i][j] = std::min({replaced, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[from.size()][to.size()];
}

std::optional<std::string> nearest_name(std::string_view name,
                                        const std::vector<std::string>& known) {
  std::optional<std::string> nearest;
  int least = 0;
  for (const std::string& candidate : known) {
    const int distance = edit_distance(name, candidate);
    const size_t length = std::max(name.size(), candidate.size());
    if (3 * static_cast<size_t>(distance) > length || (nearest && distance >= least)) continue;
    nearest = candidate;
    least = distance;
  }
  return nearest;
}

std::string suggestion(std::string_view name, const std::vector<std::string>& known) {
  std::string text;
  if (const auto nearest = nearest_name(name, known))
    text = fmt::format("; did you mean '{}'?", *nearest);
  return text +
         (known.empty() ? " (none is known)" : fmt::format(" (known: {})", join(known, ", ")));
}

}  // namespace ssdq
