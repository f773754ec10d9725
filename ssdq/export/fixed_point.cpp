#include "ssdq/export/fixed_point.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

// A number of one or two digits from `at` on, -1 without.
int digits(const std::string& text, size_t& at) {
  int value = -1;
  for (int count = 0; count < 2 && at < text.size() && text[at] >= '0' && text[at] <= '9';
       ++count) {
    value = std::max(value, 0) * 10 + (text[at++] - '0');
  }
  return value;
}

}  // namespace

FixedPoint parse_fixed_point(const std::string& text) {
  FixedPoint format{-1, -1};
  size_t at = 1;
  if (!text.empty() && (text[0] == 'Q' || text[0] == 'q')) {
    format.integer_bits = digits(text, at);
    if (at < text.size() && text[at] == '.') {
      format.fraction_bits = digits(text, ++at);
    }
  }
  SSDQ_CHECK_CONFIG(at == text.size() && format.integer_bits >= 0 && format.fraction_bits >= 0 &&
                        format.bits() <= 32,
                    "--fixed-point: expected Qm.n with 1 + m + n bits, at most 32 (Q3.4 has 8), "
                    "got '{}'",
                    text);
  return format;
}

std::string to_string(const FixedPoint& format) {
  return fmt::format("Q{}.{}", format.integer_bits, format.fraction_bits);
}

int64_t to_fixed_point(double value, const FixedPoint& format, size_t& saturated) {
  const double end = std::ldexp(1.0, format.bits() - 1);
  const double code = std::nearbyint(std::ldexp(value, format.fraction_bits));
  const double limited = std::clamp(code, -end, end - 1);
  saturated += limited != code ? 1 : 0;
  return static_cast<int64_t>(limited);
}

}  // namespace ssdq
