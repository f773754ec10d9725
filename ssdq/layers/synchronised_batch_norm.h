#pragma once

#include <array>

#include <torch/nn/modules/batchnorm.h>
#include <torch/types.h>

#include "ssdq/layers/channel_statistics.h"
#include "ssdq/quantization/rank_statistics.h"

namespace ssdq {

// Batch norm in training over the pixels of all ranks, for StatisticsScope. The ranks may hold
// different numbers of images. Forward adds up the count, sum and squares of each channel in
// double, which costs the variance 1e-16 (mean / deviation)^2 of its value; backward two sums of
// each channel. The gradients of weight and bias are this rank's part.

// Makes the mean, variance and count of one rank those of all; null: nothing to do, as below.
void gather_statistics(ChannelStatistics& statistics, const StatisticsReducerPtr& reducer);

// Adds up, for each channel, the gradients g and the products g (x - mean).
void gather_sums(std::array<ChannelValues, 2>& sums, const StatisticsReducerPtr& reducer);

// Mean and biased variance [C] of x [N, C, H, W] over all ranks, in float (double for double), with
// gradients, and the numbers of a channel.
struct BatchStatistics {
  torch::Tensor mean, variance;
  torch::Tensor count;  // scalar, double; on a GPU it stays there
};
BatchStatistics synchronised_statistics(const torch::Tensor& x,
                                        const StatisticsReducerPtr& reducer);

// bn(x) in training, by LibTorch's operators; running statistics move.
torch::Tensor synchronised_batch_norm(const torch::Tensor& x, torch::nn::BatchNorm2dImpl& bn,
                                      const StatisticsReducerPtr& reducer);

// A reducer, to be kept for a backward pass; may be null.
c10::IValue saved_reducer(const StatisticsReducerPtr& reducer);
StatisticsReducerPtr reducer_of(const c10::IValue& saved);

}  // namespace ssdq
