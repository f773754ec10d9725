#pragma once

#include <vector>

#include <torch/types.h>

#include "ssdq/graph/graph.h"

namespace ssdq {

// What the graph's operators without parameters compute, on [N, C, H, W] tensors of any memory
// format. All have a backward pass in float and in bfloat16 on the CPU.

// `slope` is that of leaky for negative inputs.
torch::Tensor activate(const torch::Tensor& x, Activation activation, double slope = 0.1);

// The same, free to overwrite `x`: for a fresh tensor that no other operator has saved.
torch::Tensor activate_fresh(torch::Tensor x, Activation activation, double slope = 0.1);

// `weight` [out, in / groups, kh, kw], `bias` [out] or undefined; batch norm and activation are
// left to the caller.
torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight,
                       const torch::Tensor& bias, const Conv& conv);

// Padding never wins a maximum; averages count it as zeros.
torch::Tensor pool(const torch::Tensor& x, const Pool& options);

torch::Tensor add(const std::vector<torch::Tensor>& inputs, const Add& options);

torch::Tensor upsample(const torch::Tensor& x, const Upsample& options);

}  // namespace ssdq
