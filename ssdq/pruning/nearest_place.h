#pragma once

#include <cstddef>
#include <functional>

namespace ssdq {

struct PlaceValue {
  size_t place = 0;
  double value = 0;
};

// The place in [0, count), count above 0, whose value comes nearest to `wanted`, by bisection:
// `value` must not rise with the place. Of equals the lower.
PlaceValue nearest_place(size_t count, double wanted, const std::function<double(size_t)>& value);

}  // namespace ssdq
