#include "ssdq/importing/adapt.h"

#include <torch/torch.h>

namespace ssdq {
namespace {

// Every k-th entry of a dimension, so that `size` are left; undefined when that is not possible.
torch::Tensor thin(const torch::Tensor& tensor, int64_t dimension, int64_t size) {
  const int64_t have = tensor.size(dimension);
  if (size < 1 || have % size != 0) {
    return {};
  }
  return tensor.slice(dimension, 0, have, have / size);
}

// `kernel` of the `side` rows or columns of a map, the first and last among them.
torch::Tensor thin_side(const torch::Tensor& tensor, int64_t dimension, int64_t kernel) {
  const int64_t side = tensor.size(dimension);
  if (kernel == side) {
    return tensor;
  }
  if (kernel < 2 || (side - 1) % (kernel - 1) != 0) {
    return {};
  }
  return tensor.slice(dimension, 0, side, (side - 1) / (kernel - 1));
}

}  // namespace

torch::Tensor with_eps(const torch::Tensor& running_var, double eps, double target_eps) {
  return eps == target_eps ? running_var
                           : (running_var.to(torch::kDouble) + eps - target_eps).to(torch::kFloat);
}

BatchNormTensors identity_batch_norm(const torch::Tensor& bias, double eps) {
  BatchNormTensors bn;
  bn.weight = torch::ones_like(bias);
  bn.bias = bias;
  bn.running_mean = torch::zeros_like(bias);
  bn.running_var = torch::full_like(bias, 1 - eps);
  return bn;
}

void fold(const BatchNormTensors& bn, double eps, torch::Tensor& weight, torch::Tensor& bias) {
  const auto scale =
      bn.weight.to(torch::kDouble) / (bn.running_var.to(torch::kDouble) + eps).sqrt();
  auto shift = -bn.running_mean.to(torch::kDouble);
  if (bias.defined()) {
    shift = shift + bias;
  }
  weight = (weight.to(torch::kDouble) * scale.view({-1, 1, 1, 1})).to(torch::kFloat);
  bias = (bn.bias.to(torch::kDouble) + scale * shift).to(torch::kFloat);
}

torch::Tensor to_box_major(const torch::Tensor& rows, int64_t values) {
  auto shape = rows.sizes().vec();
  const int64_t count = shape.front();
  if (values < 1 || count % values != 0) {
    return rows;
  }
  auto split = shape;
  split.front() = values;
  split.insert(split.begin() + 1, count / values);
  return rows.contiguous().view(split).transpose(0, 1).contiguous().view(shape);
}

torch::Tensor reduce_fully_connected(const torch::Tensor& tensor,
                                     const std::vector<int64_t>& shape) {
  if (tensor.dim() == 1 && shape.size() == 1) {
    return thin(tensor, 0, shape[0]);
  }
  if (tensor.dim() != 2 || shape.size() != 4 || shape[1] < 1) {
    return {};
  }
  constexpr int64_t kSide = 7;
  torch::Tensor kernel;
  if (shape[2] == 1 && shape[3] == 1) {
    kernel = thin(tensor, 1, shape[1]);
    kernel = kernel.defined() ? kernel.unsqueeze(2).unsqueeze(3) : kernel;
  } else if (tensor.size(1) == shape[1] * kSide * kSide) {
    kernel = thin_side(tensor.reshape({tensor.size(0), shape[1], kSide, kSide}), 2, shape[2]);
    kernel = kernel.defined() ? thin_side(kernel, 3, shape[3]) : kernel;
  }
  return kernel.defined() ? thin(kernel, 0, shape[0]) : kernel;
}

}  // namespace ssdq
