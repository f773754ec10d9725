#include "ssdq/utils/progress.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ssdq {

std::string format_duration(double seconds) {
  constexpr double kThousandYears = 1000.0 * 365 * 86400;
  if (!(seconds >= 0 && seconds < kThousandYears)) {
    return "-";
  }
  const int64_t total = std::llround(seconds);
  const int64_t days = total / 86400;
  const int64_t hours = total / 3600 % 24;
  const int64_t minutes = total / 60 % 60;
  if (days > 0) {
    return fmt::format("{}d {:02}:{:02}:{:02}", days, hours, minutes, total % 60);
  }
  return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
}

std::string format_rate(double rate) {
  if (rate == 0) {
    return "0";
  }
  std::string text = fmt::format("{:.1e}", rate);
  const size_t exponent = text.find('e');
  if (exponent == std::string::npos) {
    return text;  // nan, inf
  }
  size_t digits = exponent + 2;  // past the sign, which is always written
  while (digits + 1 < text.size() && text[digits] == '0') {
    text.erase(digits, 1);
  }
  return text;
}

std::string progress_bar(int64_t done, int64_t total, int width) {
  const double fraction =
      total <= 0 ? 1.0
                 : std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  const auto filled = static_cast<size_t>(fraction * width);
  std::string bar(static_cast<size_t>(width), ' ');
  std::fill_n(bar.begin(), filled, '=');
  if (filled < bar.size()) {
    bar[filled] = '>';
  }
  return "[" + bar + "]";
}

}  // namespace ssdq
