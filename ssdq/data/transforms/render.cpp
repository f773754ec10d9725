#include "ssdq/data/transforms/render.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <opencv2/imgproc.hpp>

#include "ssdq/utils/simd.h"

namespace ssdq {
namespace {

// Where each output coordinate of one axis falls in the source; index -1 is outside.
struct Axis {
  std::vector<int> first, second;
  std::vector<float> weight;  // of `second`
  int begin = 0, end = 0;     // the outputs inside the image
};

Axis make_axis(float low, float extent, bool reversed, int full, int stored, int count) {
  Axis axis;
  axis.first.assign(count, -1);
  axis.second.assign(count, -1);
  axis.weight.assign(count, 0);
  axis.begin = count;
  const double to_stored = static_cast<double>(stored) / full;
  for (int i = 0; i < count; ++i) {
    const int from = reversed ? count - 1 - i : i;
    const double at = low + (from + 0.5) * extent / count;
    if (at < 0 || at >= full) {
      continue;
    }
    const double x = std::min(std::max(at * to_stored - 0.5, 0.0), stored - 1.0);
    axis.first[i] = static_cast<int>(x);
    axis.second[i] = std::min(axis.first[i] + 1, stored - 1);
    axis.weight[i] = static_cast<float>(x - axis.first[i]);
    axis.begin = std::min(axis.begin, i);
    axis.end = i + 1;
  }
  return axis;
}

SSDQ_TARGET_CLONES
void blend_rows(const uint8_t* __restrict first, const uint8_t* __restrict second, float weight,
                int count, float* __restrict out) {
  for (int i = 0; i < count; ++i) {
    const auto a = static_cast<float>(first[i]);
    out[i] = a + (static_cast<float>(second[i]) - a) * weight;
  }
}

SSDQ_TARGET_CLONES
void blend_columns(const float* __restrict row, const int* __restrict first,
                   const int* __restrict second, const float* __restrict weight, int count,
                   float* __restrict r, float* __restrict g, float* __restrict b) {
  for (int i = 0; i < count; ++i) {
    const float* p = row + 3 * first[i];
    const float* q = row + 3 * second[i];
    r[i] = p[0] + (q[0] - p[0]) * weight[i];
    g[i] = p[1] + (q[1] - p[1]) * weight[i];
    b[i] = p[2] + (q[2] - p[2]) * weight[i];
  }
}

std::array<float, 3> inverse(const std::array<float, 3>& std) {
  return {1 / std[0], 1 / std[1], 1 / std[2]};
}

}  // namespace

void render_view(const cv::Mat& image, Size2 full, const View& view, const Photometric& how,
                 const Normalisation& normalisation, Size2 size, float* out) {
  const Axis columns =
      make_axis(view.view.x1, view.view.width(), view.mirrored, full.width, image.cols, size.width);
  const Axis rows = make_axis(view.view.y1, view.view.height(), view.flipped, full.height,
                              image.rows, size.height);
  const std::array<float, 3> inverse_std = inverse(normalisation.std);
  std::vector<float> blended(static_cast<size_t>(image.cols) * 3);
  std::vector<float> planes(static_cast<size_t>(size.width) * 3);
  const std::array<float*, 3> plane{planes.data(), planes.data() + size.width,
                                    planes.data() + 2 * size.width};
  const int shown = std::max(0, columns.end - columns.begin);
  int low = image.cols - 1;
  int high = 0;
  for (int i = columns.begin; i < columns.end; ++i) {
    low = std::min(low, columns.first[i]);
    high = std::max(high, columns.second[i]);
  }
  const int used = shown > 0 ? 3 * (high - low + 1) : 0;
  for (int y = 0; y < size.height; ++y) {
    for (int c = 0; c < 3; ++c) {
      std::fill_n(plane[c], size.width, normalisation.mean[c]);
    }
    if (rows.first[y] >= 0 && shown > 0) {
      blend_rows(image.ptr<uint8_t>(rows.first[y]) + 3 * low,
                 image.ptr<uint8_t>(rows.second[y]) + 3 * low, rows.weight[y], used,
                 blended.data() + 3 * low);
      const int at = columns.begin;
      blend_columns(blended.data(), &columns.first[at], &columns.second[at], &columns.weight[at],
                    shown, plane[0] + at, plane[1] + at, plane[2] + at);
    }
    float* row = out + static_cast<size_t>(y) * size.width * 3;
    if (shown < size.width || rows.first[y] < 0) {
      distort_row(Photometric{}, normalisation.mean, inverse_std, plane, size.width, row);
    }
    if (rows.first[y] >= 0 && shown > 0) {
      const int at = columns.begin;
      distort_row(how, normalisation.mean, inverse_std,
                  {plane[0] + at, plane[1] + at, plane[2] + at}, shown, row + 3 * at);
    }
  }
}

void render_whole(const cv::Mat& image, const Normalisation& normalisation, Size2 size,
                  float* out) {
  cv::Mat resized;
  cv::resize(image, resized, {size.width, size.height}, 0, 0, cv::INTER_LINEAR);
  for (int y = 0; y < size.height; ++y) {
    const uint8_t* row = resized.ptr<uint8_t>(y);
    for (int i = 0; i < size.width * 3; ++i) {
      *out++ = (static_cast<float>(row[i]) - normalisation.mean[i % 3]) / normalisation.std[i % 3];
    }
  }
}

}  // namespace ssdq
