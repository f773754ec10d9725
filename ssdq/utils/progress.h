#pragma once

#include <cstdint>
#include <string>

namespace ssdq {

// "0:12:03", from a day on "2d 03:04:05". "-" for what is negative, not finite or over 1000 years.
std::string format_duration(double seconds);

// Two digits and a short exponent: "1.0e-3"; plain "0" for zero.
std::string format_rate(double rate);

// "[=====>    ]", `width` columns between the brackets. done > total counts as total; total 0 is
// full.
std::string progress_bar(int64_t done, int64_t total, int width);

}  // namespace ssdq
