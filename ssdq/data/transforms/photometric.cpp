#include "ssdq/data/transforms/photometric.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ssdq/utils/simd.h"

namespace ssdq {
namespace {

inline float hsv_channel(float value, float chroma, float sextant) {
  const float k = sextant - 6.0F * std::floor(sextant * (1.0F / 6.0F));
  return value - chroma * std::max(0.0F, std::min(1.0F, std::min(k, 4.0F - k)));
}

SSDQ_TARGET_CLONES
void distort_hsv(float gain, float offset, float saturation, float hue, float* __restrict red,
                 float* __restrict green, float* __restrict blue, int count) {
  for (int i = 0; i < count; ++i) {
    const float r = red[i] * gain + offset;
    const float g = green[i] * gain + offset;
    const float b = blue[i] * gain + offset;
    const float value = std::max(r, std::max(g, b));
    const float range = value - std::min(r, std::min(g, b));
    const float inverse = 1.0F / std::max(range, 1e-7F);
    const float sextant_gb = value == g ? 2.0F + (b - r) * inverse : 4.0F + (r - g) * inverse;
    const float sextant = (value == r ? (g - b) * inverse : sextant_gb) + hue;
    const float chroma = value * saturation * range / (std::fabs(value) + 1.1920929e-7F);
    red[i] = hsv_channel(value, chroma, sextant + 5.0F);
    green[i] = hsv_channel(value, chroma, sextant + 3.0F);
    blue[i] = hsv_channel(value, chroma, sextant + 1.0F);
  }
}

SSDQ_TARGET_CLONES
void interleave(const float* __restrict first, const float* __restrict second,
                const float* __restrict third, const float* gain, const float* offset, int count,
                float* __restrict out) {
  for (int i = 0; i < count; ++i) {
    out[3 * i] = first[i] * gain[0] + offset[0];
    out[3 * i + 1] = second[i] * gain[1] + offset[1];
    out[3 * i + 2] = third[i] * gain[2] + offset[2];
  }
}

}  // namespace

Photometric draw_photometric(Random& random) {
  Photometric how;
  if (random.coin()) {
    how.offset = static_cast<float>(random.uniform(-32, 32));
  }
  const bool contrast_first = random.coin();
  const float contrast = random.coin() ? static_cast<float>(random.uniform(0.5, 1.5)) : 1.0F;
  (contrast_first ? how.gain_before : how.gain_after) = contrast;
  if (random.coin()) {
    how.saturation = static_cast<float>(random.uniform(0.5, 1.5));
  }
  if (random.coin()) {
    how.hue = static_cast<float>(random.uniform(-18, 18));
  }
  if (random.coin()) {
    for (int i = 2; i > 0; --i) {
      std::swap(how.order[i], how.order[random.below(static_cast<uint64_t>(i) + 1)]);
    }
  }
  return how;
}

void distort_row(const Photometric& how, const std::array<float, 3>& mean,
                 const std::array<float, 3>& inverse_std, const std::array<float*, 3>& planes,
                 int count, float* out) {
  float before = how.gain_before;
  float added = how.gain_before * how.offset;
  if (how.saturation != 1.0F || how.hue != 0.0F) {
    distort_hsv(before, added, how.saturation, how.hue / 60.0F, planes[0], planes[1], planes[2],
                count);
    before = 1;
    added = 0;
  }
  std::array<float, 3> gain{};
  std::array<float, 3> offset{};
  for (int c = 0; c < 3; ++c) {
    gain[c] = before * how.gain_after * inverse_std[c];
    offset[c] = (added * how.gain_after - mean[c]) * inverse_std[c];
  }
  interleave(planes[how.order[0]], planes[how.order[1]], planes[how.order[2]], gain.data(),
             offset.data(), count, out);
}

}  // namespace ssdq
