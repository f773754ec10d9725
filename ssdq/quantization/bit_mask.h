#pragma once

#include <utility>

#include <torch/csrc/autograd/custom_function.h>

#include "ssdq/quantization/rows.h"

namespace ssdq {

// Bit masks that the fused functions save for their backward pass, and the layout of the tensor
// that they belong to.

// A dense tensor of these sizes and strides.
torch::Tensor like(const torch::Tensor& x, c10::IntArrayRef sizes, c10::IntArrayRef strides);

// Uninitialised.
torch::Tensor mask_for(const Rows& rows);

void keep_layout(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                 const Rows& rows);
// `g` as the tensor of keep_layout lies in memory.
torch::Tensor arranged(torch::autograd::AutogradContext* context, const torch::Tensor& g);
Rows kept_rows(torch::autograd::AutogradContext* context, const torch::Tensor& g);

// g slope where the mask is set, else 0; with `above` also the sums beside the mask over the whole
// tensor.
std::pair<torch::Tensor, OutsideSums> fused_masked_gradient(const torch::Tensor& g,
                                                            const torch::Tensor& inside,
                                                            const torch::Tensor& above,
                                                            const Rows& rows, double slope);

}  // namespace ssdq
