#pragma once

#include <memory>

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include "ssdq/quantization/policy.h"

// Quantize-aware convolutions as a PyTorch project writes them: a chain of elementwise operations
// for each formula, rounding as an autograd function that passes the gradient.

enum class PlainMethod { kNone, kDoReFa, kIao };

struct PlainConvOptions {
  torch::nn::Conv2dOptions conv{1, 1, 1};
  std::shared_ptr<torch::nn::BatchNorm2dImpl> bn;  // null: none
  PlainMethod method = PlainMethod::kNone;
  ssdq::NodeQuantization bits;
};

// Convolution and batch norm, [N, in, H, W] -> [N, out, H', W'], in training only.
//
// DoReFa: Zhou et al., arXiv:1606.06160. IAO: Jacob et al., arXiv:1712.05877, with the convolution
// run twice where a batch norm follows: first for the statistics of the batch, then with the weight
// that has the batch norm's scale in it.
class PlainConvImpl : public torch::nn::Module {
 public:
  explicit PlainConvImpl(const PlainConvOptions& options);

  torch::Tensor forward(const torch::Tensor& x);

  torch::nn::Conv2d conv{nullptr};
  torch::nn::BatchNorm2d bn{nullptr};

 private:
  torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight);
  torch::Tensor forward_dorefa(const torch::Tensor& x);
  torch::Tensor forward_iao(const torch::Tensor& x);
  torch::Tensor forward_folded(const torch::Tensor& x);
  torch::Tensor iao_input(const torch::Tensor& x);
  torch::Tensor iao_weight(const torch::Tensor& weight);

  PlainMethod method_;
  ssdq::NodeQuantization bits_;
  torch::Tensor input_range_;   // scalar: moving average of the largest magnitude
  torch::Tensor weight_range_;  // [out, 1, 1, 1]: largest magnitude so far
};
TORCH_MODULE(PlainConv);
