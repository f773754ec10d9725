#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

namespace ssdq {

struct L2NormOptions {
  int64_t channels = 0;
  double initial_scale = 20;
  double eps = 1e-10;  // added to the norm
};

// y = weight * x / (|x| + eps), |x| the Euclidean norm over the channels of one location of
// [N, C, H, W]; weight is [C]. A location of zeros stays zero and has a finite gradient.
//
// Paper: Liu et al., ParseNet, arXiv:1506.04579, section 3.3.
class L2NormLayerImpl : public torch::nn::Module {
 public:
  explicit L2NormLayerImpl(const L2NormOptions& options);

  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight;  // [C]

 private:
  double eps_;
};
TORCH_MODULE(L2NormLayer);

}  // namespace ssdq
