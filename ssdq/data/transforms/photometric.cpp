#include "ssdq/data/transforms/photometric.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "ssdq/utils/simd.h"

namespace ssdq {
namespace {

// What the pass needs of a draw: x -> gain x + offset before and after the colour step.
struct Pass {
  float gain_before, offset_before, gain_after;
  float saturation, hue_sixths;
  std::array<float, 3> scale, shift;  // normalisation, by output channel
};

Pass make_pass(const Photometric& draw, const std::array<float, 3>& mean, const std::array<float, 3>& std) {
  Pass pass{};
  pass.gain_before = draw.contrast_first ? draw.contrast : 1;
  pass.offset_before = draw.brightness * pass.gain_before;
  pass.gain_after = draw.contrast_first ? 1 : draw.contrast;
  pass.saturation = draw.saturation;
  pass.hue_sixths = draw.hue / 60;
  for (size_t c = 0; c < 3; ++c) {
    pass.scale[c] = 1 / std[c];
    pass.shift[c] = -mean[c] / std[c];
  }
  return pass;
}

// HSV's hexagon, n = 5, 3, 1 for R, G, B: V - V S max(0, min(k, 4 - k, 1)) with k = (n + H) mod 6.
inline float hexagon(float n, float hue) {
  float k = n + hue;
  k = k >= 6 ? k - 6 : k;
  return std::max(0.0F, std::min(std::min(k, 4 - k), 1.0F));
}

// Rotates hue and scales saturation of planar rows in place. Chroma is V - min, so V S = chroma and scaling S scales
// it; no division by V is needed.
SSDQ_TARGET_CLONES
void shift_colors(float* __restrict r, float* __restrict g, float* __restrict b, int n, float saturation,
                  float hue_sixths) {
  for (int i = 0; i < n; ++i) {
    const float value = std::max(r[i], std::max(g[i], b[i]));
    const float chroma = value - std::min(r[i], std::min(g[i], b[i]));
    const float inverse = chroma > 0 ? 1 / chroma : 0.0F;
    const float from_r = (g[i] - b[i]) * inverse;
    const float from_g = (b[i] - r[i]) * inverse + 2;
    const float from_b = (r[i] - g[i]) * inverse + 4;
    float hue = value == r[i] ? from_r : (value == g[i] ? from_g : from_b);
    hue += hue_sixths;
    hue = hue < 0 ? hue + 6 : hue;
    hue = hue >= 6 ? hue - 6 : hue;
    const float drop = chroma * saturation;
    r[i] = value - drop * hexagon(5, hue);
    g[i] = value - drop * hexagon(3, hue);
    b[i] = value - drop * hexagon(1, hue);
  }
}

SSDQ_TARGET_CLONES
void load_row(const uint8_t* __restrict rgb, int n, float gain, float offset, float* __restrict r,
              float* __restrict g, float* __restrict b) {
  for (int i = 0; i < n; ++i) {
    r[i] = gain * static_cast<float>(rgb[3 * i]) + offset;
    g[i] = gain * static_cast<float>(rgb[3 * i + 1]) + offset;
    b[i] = gain * static_cast<float>(rgb[3 * i + 2]) + offset;
  }
}

SSDQ_TARGET_CLONES
void store_row(const float* __restrict r, const float* __restrict g, const float* __restrict b, int n, float gain,
               const float* __restrict scale, const float* __restrict shift, float* __restrict out) {
  for (int i = 0; i < n; ++i) {
    out[3 * i] = r[i] * gain * scale[0] + shift[0];
    out[3 * i + 1] = g[i] * gain * scale[1] + shift[1];
    out[3 * i + 2] = b[i] * gain * scale[2] + shift[2];
  }
}

}  // namespace

Photometric draw_photometric(Random& random) {
  Photometric draw;
  if (random.coin()) {
    draw.brightness = static_cast<float>(random.uniform(-32, 32));
  }
  draw.contrast_first = random.coin();
  if (random.coin()) {
    draw.contrast = static_cast<float>(random.uniform(0.5, 1.5));
  }
  if (random.coin()) {
    draw.saturation = static_cast<float>(random.uniform(0.5, 1.5));
  }
  if (random.coin()) {
    draw.hue = static_cast<float>(random.uniform(-18, 18));
  }
  if (random.coin()) {
    for (size_t i = 3; i > 1; --i) {
      std::swap(draw.channels[i - 1], draw.channels[random.below(i)]);
    }
  }
  return draw;
}

void distort_and_normalize(const cv::Mat& rgb, const Photometric& draw, const std::array<float, 3>& mean,
                           const std::array<float, 3>& std, cv::Mat& out) {
  const Pass pass = make_pass(draw, mean, std);
  const int width = rgb.cols;
  thread_local std::vector<float> rows;
  rows.resize(static_cast<size_t>(width) * 3);
  const std::array<float*, 3> planes = {rows.data(), rows.data() + width, rows.data() + 2 * width};
  for (int y = 0; y < rgb.rows; ++y) {
    load_row(rgb.ptr(y), width, pass.gain_before, pass.offset_before, planes[0], planes[1], planes[2]);
    if (draw.changes_color()) {
      shift_colors(planes[0], planes[1], planes[2], width, pass.saturation, pass.hue_sixths);
    }
    const auto source = [&](size_t c) { return planes[static_cast<size_t>(draw.channels[c])]; };
    store_row(source(0), source(1), source(2), width, pass.gain_after, pass.scale.data(), pass.shift.data(),
              out.ptr<float>(y));
  }
}

}  // namespace ssdq
