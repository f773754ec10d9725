#include "ssdq/export/int8_weight.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

constexpr int64_t kLeast = -128;
constexpr int64_t kMost = 127;
constexpr double kMostBias = std::numeric_limits<int32_t>::max();

// value = step code + shift.
struct Steps {
  int64_t step = 1, shift = 0;
};

// The steps with the shift nearest to 0 for values low..high, which are all `rest` modulo `step`.
std::optional<Steps> steps_with(int64_t step, int64_t low, int64_t high) {
  const int64_t first = high - step * kMost, last = low - step * kLeast;
  if (first > last) {
    return {};
  }
  int64_t shift = std::clamp(int64_t{0}, first, last);
  while ((low - shift) % step != 0) {
    shift += shift < last ? 1 : -1;
  }
  return Steps{step, shift};
}

Steps steps_of(const std::vector<int64_t>& values, int64_t multiplier, const std::string& node) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (*low >= kLeast && *high <= kMost) {
    return {};
  }
  const auto found = steps_with(multiplier, *low, *high);
  SSDQ_CHECK(found,
             "{}: its weights take whole numbers from {} to {}, which int8 does not hold; export "
             "WBITS of at most 8, or the format integers",
             node, *low, *high);
  return *found;
}

// Of v in units of the convolution's input.
double weight_scale(const IntegerConv& conv, size_t channel) {
  return conv.input ? conv.scale[channel] / conv.input->scale : conv.scale[channel];
}

// The largest power of two that codes in int8, and a bias in their steps, can be multiplied by.
int64_t room_for(const std::vector<int64_t>& codes, double bias) {
  int64_t reach = 1;  // -reach..reach - 1
  for (const int64_t code : codes) {
    reach = std::max(reach, code < 0 ? -code : code + 1);
  }
  int64_t factor = 1;
  while (2 * factor * reach <= -kLeast && 2 * static_cast<double>(factor) * bias <= kMostBias) {
    factor *= 2;
  }
  return factor;
}

// The integers of a channel, with the sign that `scale` takes away; 0 where they count nothing.
std::vector<int64_t> values_of(const IntegerConv& conv, size_t channel, double scale) {
  const WeightCode& weight = *conv.weight;
  const size_t length = weight.codes.size() / conv.scale.size();
  const auto& constant = conv.constant_channels;
  std::vector<int64_t> values(length);
  if (scale == 0 || std::find(constant.begin(), constant.end(), static_cast<int64_t>(channel)) !=
                        constant.end()) {
    return values;
  }
  for (size_t i = 0; i < length; ++i) {
    const int64_t value =
        weight.multiplier * weight.codes[channel * length + i] + weight.shift_of(channel);
    values[i] = scale < 0 ? -value : value;
  }
  return values;
}

}  // namespace

bool Int8Weight::has_window() const {
  return std::any_of(window.begin(), window.end(), [](double factor) { return factor != 0; });
}

Int8Weight int8_weight(const IntegerConv& conv, const std::string& node) {
  Int8Weight result;
  for (size_t c = 0; c < conv.scale.size(); ++c) {
    const double scale = weight_scale(conv, c), magnitude = scale == 0 ? 1.0 : std::abs(scale);
    std::vector<int64_t> codes = values_of(conv, c, scale);
    const Steps steps = steps_of(codes, conv.weight->multiplier, node);
    for (int64_t& code : codes) {
      code = (code - steps.shift) / steps.step;
    }
    const double step = magnitude * static_cast<double>(steps.step);
    const int64_t factor =
        conv.is_integer()
            ? room_for(codes, std::abs(conv.real_bias[c]) / (conv.input->scale * step))
            : 1;
    for (const int64_t code : codes) {
      result.codes.push_back(static_cast<int8_t>(factor * code));
    }
    result.scale.push_back(step / static_cast<double>(factor));
    result.window.push_back(magnitude * static_cast<double>(steps.shift));
  }
  return result;
}

}  // namespace ssdq
