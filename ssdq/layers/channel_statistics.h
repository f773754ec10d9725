#pragma once

#include <vector>

#include <torch/types.h>

namespace ssdq {

using ChannelValues = std::vector<double>;  // by channel

// Of a map [N, C, H, W] in channels-last memory: mean and biased variance of each channel, and,
// when asked for, its extremes.
struct ChannelStatistics {
  ChannelValues mean, variance;
  double count = 0;  // numbers of a channel
  std::vector<float> min, max;
};
ChannelStatistics channel_statistics(const torch::Tensor& x, bool extremes);

// a = scale x + shift of each channel, with the mean and deviation that it comes from.
struct ChannelNormalization {
  ChannelValues scale, shift, mean, deviation;

  // As one tensor, to be saved for a backward pass.
  torch::Tensor packed() const;
  static ChannelNormalization unpacked(const torch::Tensor& packed);
};

// The values of a float tensor [C].
ChannelValues channel_values(const torch::Tensor& by_channel);

}  // namespace ssdq
