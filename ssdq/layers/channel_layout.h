#pragma once

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "ssdq/kernels/dispatch.h"

namespace ssdq {

// A map [N, C, H, W] in channels-last memory as the kernels of columns take it: rows of numbers,
// several pixels in each so that vectors are full, in chunks of whole rows.
class ChannelLayout {
 public:
  explicit ChannelLayout(const torch::Tensor& x) : numbers_(x.numel()), channels_(x.size(1)) {
    constexpr int64_t kVector = 16, kLeastWidth = 64;
    pixels_per_row_ = kVector / std::gcd(kVector, channels_);
    pixels_per_row_ *= std::max<int64_t>(1, kLeastWidth / (pixels_per_row_ * channels_));
    width_ = pixels_per_row_ * channels_;
    chunk_ = std::max<int64_t>(1, kChunk / width_) * width_;
    chunks_ = (numbers_ + chunk_ - 1) / chunk_;
  }

  int64_t width() const { return width_; }
  int64_t chunks() const { return chunks_; }
  // Numbers of a channel.
  double count() const {
    const int64_t pixels = numbers_ / channels_;
    return static_cast<double>(pixels);
  }

  int64_t channels() const { return channels_; }

  // Values by channel for the columns of a row.
  template <typename T>
  std::vector<float> columns(const std::vector<T>& by_channel) const {
    std::vector<float> result(static_cast<size_t>(width_));
    for (size_t i = 0; i < result.size(); ++i) {
      result[i] = static_cast<float>(by_channel[i % by_channel.size()]);
    }
    return result;
  }

  // body(first number, how many, chunk) on LibTorch's threads.
  template <typename Body>
  void for_chunks(Body body) const {
    at::parallel_for(0, chunks_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        body(i * chunk_, std::min(chunk_, numbers_ - i * chunk_), i);
      }
    });
  }

  // Two sums for each channel: body(first number, how many, chunk, sums, other sums) adds to those
  // of the columns. The order of additions does not depend on the threads.
  template <typename Body>
  std::array<std::vector<double>, 2> sums(Body body) const {
    std::vector<double> parts(static_cast<size_t>(2 * chunks_ * width_));
    for_chunks([&](int64_t begin, int64_t count, int64_t index) {
      double* first = parts.data() + 2 * index * width_;
      body(begin, count, index, first, first + width_);
    });
    std::array<std::vector<double>, 2> totals;
    for (auto& total : totals) {
      total.resize(static_cast<size_t>(channels_));
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto width = static_cast<size_t>(width_);
      totals[i / width % 2][i % width % totals[0].size()] += parts[i];
    }
    return totals;
  }

 private:
  int64_t numbers_, channels_, pixels_per_row_ = 1, width_ = 1, chunk_ = 1, chunks_ = 1;
};

}  // namespace ssdq
