#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <torch/types.h>

#include "ssdq/pruning/sparsity.h"

namespace ssdq {

// The weight of a penalty over training.
struct SparsityRate {
  enum class Schedule { kConstant, kLinear, kCosine };

  double rate = 0;
  Schedule schedule = Schedule::kConstant;
  double final_share = 1;  // of `rate`, at max_iter
  int64_t warmup_iters = 0;
  int64_t max_iter = 0;
};

// constant, linear, cosine. Throws ConfigError for another name.
SparsityRate::Schedule parse_sparsity_schedule(const std::string& name);

// The rate at `iteration` (from 0). Warm-up, t < T_w = warmup_iters: rate t / T_w. Then, with
// p = (t - T_w) / (max_iter - T_w) up to 1 and f = final_share,
// constant: rate; linear: rate (1 - p (1 - f)); cosine: rate (f + (1 - f) (1 + cos(pi p)) / 2).
double sparsity_rate(int64_t iteration, const SparsityRate& rate);

// A subgradient of a penalty on scales gamma: [n] as concatenated() -> [n].
using PenaltyGradient = std::function<torch::Tensor(const torch::Tensor& gamma)>;

// Of sum |gamma|: sign(gamma), 0 at 0.
//
// Paper: Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017,
// arXiv:1708.06519.
PenaltyGradient l1_penalty();

// Of sum_i (t |gamma_i| - | |gamma_i| - m |), m the mean of all |gamma|: with
// s_i = sign(|gamma_i| - m), sign(gamma_i) (t - s_i + mean(s)). The mean is over the scales of all
// layers together, as in the paper, so that whole layers may go to either side. The paper keeps
// scales positive by clipping; here magnitudes take their place, since the sign of a scale says
// nothing about its channel.
//
// Paper: Zhuang et al., Neuron-level Structured Pruning using Polarization Regularizer, NeurIPS
// 2020.
PenaltyGradient polarized_penalty(double polarization);

// Of sum over units of sqrt(k) ||gamma_unit||_2, k the number of the unit's scales: those of the
// batch norms that adds and depthwise convolutions tie go to 0 together. 0 where a whole unit is 0.
// A unit with one scale has the l1 penalty. The result's tensors are on `device`.
//
// Paper: Yuan and Lin, Model selection and estimation in regression with grouped variables, 2006.
PenaltyGradient group_penalty(const ScaleLayout& layout, torch::Device device);

// Adds `rate` times the penalty's gradient to that of each scale; scales without a gradient are not
// trained and are left alone.
void add_penalty(const PenalisedScales& scales, const PenaltyGradient& gradient, double rate);

}  // namespace ssdq
