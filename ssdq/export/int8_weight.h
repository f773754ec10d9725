#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ssdq/export/integer_conv.h"

namespace ssdq {

// The weight of an IntegerConv, batch norm in it, for runtimes that have int8 without a zero point
// and a positive scale for each channel: the convolution with it is
//   scale[c] conv(x, codes) + window[c] sum of x over the taps of the group's window.
// The second term makes up for integers that int8 does not hold, such as the odd ones of 8-bit
// DoReFa; it is 0 for all channels of most methods. Codes of fewer bits are multiplied by the power
// of two that int8 has room for: a bias in steps of (input scale) scale[c] is then rounded less.
struct Int8Weight {
  std::vector<int8_t> codes;  // row-major; a negative batch norm turns the signs of a channel
  std::vector<double> scale, window;  // [out]

  bool has_window() const;
};

// `conv` has integer weights. Throws Error naming the node when they need more than 8 bits.
Int8Weight int8_weight(const IntegerConv& conv, const std::string& node);

}  // namespace ssdq
