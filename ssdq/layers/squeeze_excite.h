#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>

#include "ssdq/graph/graph.h"

namespace ssdq {

struct SqueezeExciteOptions {
  int64_t channels = 0;
  SqueezeExcite op;
};

// activation(x * gate(excite(inner(squeeze(mean_hw(x)))))) on [N, C, H, W]; squeeze and excite are
// 1x1 convolutions with bias.
//
// Paper: Hu et al., CVPR 2018, arXiv:1709.01507.
class SqueezeExciteLayerImpl : public torch::nn::Module {
 public:
  explicit SqueezeExciteLayerImpl(const SqueezeExciteOptions& options);

  torch::Tensor forward(const torch::Tensor& x);

  torch::nn::Conv2d squeeze{nullptr}, excite{nullptr};

 private:
  SqueezeExcite op_;
};
TORCH_MODULE(SqueezeExciteLayer);

}  // namespace ssdq
