#pragma once

#include <memory>
#include <utility>

#include <torch/types.h>

#include "ssdq/quantization/fake_quantize.h"

namespace ssdq {

// Brings together what the ranks of a data-parallel run find in their parts of one batch. Works in
// place, element by element; every rank makes the same calls in the same order, with contiguous
// tensors of the same shape and type on the run's device.
class StatisticsReducer {
 public:
  virtual ~StatisticsReducer() = default;

  virtual int ranks() const = 0;
  virtual void sum(torch::Tensor tensor) = 0;
  virtual void max(torch::Tensor tensor) = 0;
};

using StatisticsReducerPtr = std::shared_ptr<StatisticsReducer>;

// While it lives, the ranges that activations set on this thread are those of the batch of all
// ranks, and so are the batch norms' statistics with `batch_norm`: what N ranks compute for B
// images each is then what one computes for N * B. A backward pass may come after its end, from
// any thread. Null: of this process alone. Scopes nest.
class StatisticsScope {
 public:
  StatisticsScope(StatisticsReducerPtr reducer, bool batch_norm);
  ~StatisticsScope();
  StatisticsScope(const StatisticsScope&) = delete;
  StatisticsScope& operator=(const StatisticsScope&) = delete;

 private:
  StatisticsReducerPtr outer_ranges_, outer_batch_norm_;
};

// Of the scope that this thread is in; null without.
StatisticsReducerPtr range_statistics();
StatisticsReducerPtr batch_norm_statistics();

// Ranks that a gradient is summed over: 1 outside a scope. What a loss has once for the whole batch
// is to be divided by it.
int ranks_of_batch();

// moments() of the activation x of all ranks.
TensorMoments batch_moments(const torch::Tensor& x, bool by_row);
// The extremes of an activation, from those of this rank.
std::pair<torch::Tensor, torch::Tensor> batch_extremes(const torch::Tensor& min,
                                                       const torch::Tensor& max);

}  // namespace ssdq
