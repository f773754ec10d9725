#pragma once

#include <cstdint>
#include <vector>

#include <torch/types.h>

namespace ssdq {

// What a batch norm holds: float, [C] each, and the batches it has seen. Undefined: not there.
struct BatchNormTensors {
  torch::Tensor weight, bias, running_mean, running_var, batches;

  bool complete() const {
    return weight.defined() && bias.defined() && running_mean.defined() && running_var.defined();
  }
};

// The running variance with which a batch norm of `target_eps` does what one of `eps` does.
torch::Tensor with_eps(const torch::Tensor& running_var, double eps, double target_eps);

// The batch norm that adds `bias`, [C], in evaluation and does nothing else.
BatchNormTensors identity_batch_norm(const torch::Tensor& bias, double eps);

// Puts the batch norm into the convolution in front of it; `bias` may be undefined and is then
// made.
void fold(const BatchNormTensors& bn, double eps, torch::Tensor& weight, torch::Tensor& bias);

// Rows [values * boxes, ...] from value-major to box-major order.
torch::Tensor to_box_major(const torch::Tensor& rows, int64_t values);

// A fully connected layer's matrix or bias as that of the convolution of `shape`, which has a
// fraction of its rows and, of a 7x7 map, of its columns (the reduction of DeepLab and SSD).
// Undefined where the shapes do not divide.
torch::Tensor reduce_fully_connected(const torch::Tensor& tensor,
                                     const std::vector<int64_t>& shape);

}  // namespace ssdq
