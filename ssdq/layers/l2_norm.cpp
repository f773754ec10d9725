#include "ssdq/layers/l2_norm.h"

#include <torch/torch.h>

namespace ssdq {

L2NormLayerImpl::L2NormLayerImpl(const L2NormOptions& options) : eps_(options.eps) {
  weight = register_parameter("weight", torch::full({options.channels}, options.initial_scale));
}

torch::Tensor L2NormLayerImpl::forward(const torch::Tensor& x) {
  const torch::Tensor norm = x.norm(2, {1}, true) + eps_;
  return x / norm * weight.view({1, -1, 1, 1});
}

}  // namespace ssdq
