#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ssdq {

// A map [N, C, H, W] in channels-last memory as the kernels of columns take it: rows of numbers,
// several pixels in each so that vectors are full, in chunks of whole rows.
class ChannelLayout {
 public:
  explicit ChannelLayout(const torch::Tensor& x) : numbers_(x.numel()), channels_(x.size(1)) {
    constexpr int64_t kVector = 16, kLeastWidth = 64, kChunk = 32768;
    pixels_per_row_ = kVector / std::gcd(kVector, channels_);
    pixels_per_row_ *= std::max<int64_t>(1, kLeastWidth / (pixels_per_row_ * channels_));
    width_ = pixels_per_row_ * channels_;
    chunk_ = std::max<int64_t>(1, kChunk / width_) * width_;
    chunks_ = (numbers_ + chunk_ - 1) / chunk_;
  }

  int64_t width() const { return width_; }
  int64_t chunks() const { return chunks_; }
  // Numbers of a channel.
  double count() const { return static_cast<double>(numbers_ / channels_); }

  // Values by channel, [C], for the columns of a row.
  std::vector<float> columns(const torch::Tensor& by_channel) const {
    const torch::Tensor values = by_channel.to(torch::kFloat).contiguous();
    std::vector<float> result(static_cast<size_t>(width_));
    for (int64_t i = 0; i < width_; ++i) {
      result[static_cast<size_t>(i)] = values.data_ptr<float>()[i % channels_];
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

  // Two sums for each channel, each [C] of double: body(first number, how many, chunk, sums, other
  // sums) adds to those of the columns. The order of additions does not depend on the threads.
  template <typename Body>
  std::pair<torch::Tensor, torch::Tensor> sums(Body body) const {
    const torch::Tensor parts = torch::zeros({2, chunks_, width_}, torch::kDouble);
    auto* first = parts.data_ptr<double>();
    for_chunks([&](int64_t begin, int64_t count, int64_t index) {
      body(begin, count, index, first + index * width_, first + (chunks_ + index) * width_);
    });
    const torch::Tensor totals = parts.sum(1).view({2, pixels_per_row_, channels_}).sum(1);
    return {totals[0], totals[1]};
  }

  // [chunks, width] -> [C] by a reduction over dimension 0.
  torch::Tensor by_channel(const torch::Tensor& parts) const { return parts.view({-1, channels_}); }

 private:
  int64_t numbers_, channels_, pixels_per_row_ = 1, width_ = 1, chunk_ = 1, chunks_ = 1;
};

}  // namespace ssdq
