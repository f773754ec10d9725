#include "ssdq/pruning/nearest_place.h"

#include <cmath>

namespace ssdq {

PlaceValue nearest_place(size_t count, double wanted, const std::function<double(size_t)>& value) {
  PlaceValue low{0, value(0)};
  if (low.value <= wanted || count == 1) {
    return low;
  }
  PlaceValue high{count - 1, value(count - 1)};
  if (high.value > wanted) {
    return high;
  }
  while (high.place - low.place > 1) {
    const size_t middle = low.place + (high.place - low.place) / 2;
    const PlaceValue at{middle, value(middle)};
    (at.value > wanted ? low : high) = at;
  }
  return std::abs(low.value - wanted) <= std::abs(high.value - wanted) ? low : high;
}

}  // namespace ssdq
