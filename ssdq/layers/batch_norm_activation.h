#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/types.h>

#include "ssdq/graph/graph.h"
#include "ssdq/quantization/quantizer.h"

namespace ssdq {

struct ActivationOptions {
  Activation activation = Activation::kLinear;
  double leaky_slope = 0.1;
  QuantizerPtr quantizer;  // of the result; null: none
};

// quantizer(activation(bn(x))) of [N, C, H, W]. Running statistics move as in torch.nn.BatchNorm2d.
//
// Float and bfloat16 maps in channels-last memory on the CPU, with a linear, ReLU or ReLU6
// activation and a quantizer of one affine code, take two passes over memory forward (statistics,
// result) and two backward, and keep only x: what the activation and the quantizer let through is
// computed again. In float the numbers are those of the operators one after the other; in bfloat16
// the quantizer sees the activation before it is rounded. Everything else is done by the operators
// one after the other.
torch::Tensor batch_norm_activation(const torch::Tensor& x, torch::nn::BatchNorm2d& bn,
                                    const ActivationOptions& options);

// Puts a batch's mean and biased variance, each [C] of `count` (a scalar) numbers, into the running
// ones.
void update_running_statistics(torch::nn::BatchNorm2dImpl& bn, const torch::Tensor& mean,
                               const torch::Tensor& variance, const torch::Tensor& count);

}  // namespace ssdq
